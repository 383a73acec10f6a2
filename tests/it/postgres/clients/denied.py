"""What drivers make of a denial: everything of 2000 bytes and more is denied."""

import asyncio

import asyncpg
import psycopg

LONG = "SELECT length('forbidden" + "x" * 2000 + "')"


def state(action):
    try:
        return action()
    except psycopg.Error as error:
        return error.sqlstate or type(error).__name__


def pipelined(conn):
    def together():
        global first
        with conn.pipeline():
            first = conn.execute("SELECT 1")
            denied = conn.execute(LONG)
            conn.execute("CREATE TABLE never (n int)")
            denied.fetchone()

    print("in a pipeline:", state(together), first.fetchone())
    print("afterwards:", conn.execute("SELECT to_regclass('never')").fetchone())


def parameters(conn, label, prepare):
    said = []
    for length in (10, 3000, 20):
        said.append(state(lambda: conn.execute("SELECT length(%s)", ("x" * length,), prepare=prepare).fetchone()))
    print(label, *said)


def copied(conn):
    def copy():
        with conn.cursor() as cur, cur.copy(f"COPY (SELECT 'forbidden{'x' * 2000}') TO STDOUT") as out:
            return list(out)

    print("copied:", state(copy))


def transactions(conn):
    with conn.transaction():
        conn.execute("CREATE TABLE kept (n int)")
        conn.execute("INSERT INTO kept VALUES (1)")
        assert state(lambda: conn.execute(LONG)) == "42501"
    print("committed:", conn.execute("SELECT count(*) FROM kept").fetchone())
    conn.autocommit = False
    conn.execute("SELECT 1")
    assert state(lambda: conn.execute(LONG)) == "42501"
    print("in a transaction:", conn.info.transaction_status.name + ", then", conn.execute("SELECT 3").fetchone())


async def binary():
    conn = await asyncpg.connect()
    find = await conn.prepare("SELECT length($1)")

    async def once(length):
        try:
            return await find.fetchval("x" * length)
        except asyncpg.PostgresError as error:
            return error.sqlstate

    print("asyncpg:", await once(10), await once(3000), await once(20))
    seen = []
    async with conn.transaction():
        seen.append(await conn.fetchval("SELECT 1"))
        try:
            await conn.fetchval(LONG)
        except asyncpg.InsufficientPrivilegeError:
            seen.append(await conn.fetchval("SELECT 2"))
    print("asyncpg in a transaction:", seen)


with psycopg.connect(autocommit=True) as conn:
    pipelined(conn)
    parameters(conn, "by parameter:", False)
    parameters(conn, "prepared:", True)
    copied(conn)
    transactions(conn)
asyncio.run(binary())
