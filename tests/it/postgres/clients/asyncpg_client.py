"""asyncpg: everything binary and prepared; cursors, COPY, notifications, errors, a pool, cancellation."""

import asyncio
import datetime
import decimal
import io
import os
import uuid

import asyncpg


def say(*what):
    print(*what, flush=True)


async def connect():
    # It knows libpq's variables, but its default for TLS asks first.
    return await asyncpg.connect()


async def values(conn):
    await conn.execute(
        """CREATE TABLE things (id int PRIMARY KEY, name text, at timestamptz, sum numeric, raw bytea,
           tags text[], matrix int[][], span int4range, place point, address inet, key uuid, took interval, doc json)"""
    )
    row = (
        1, "Ada", datetime.datetime(2026, 1, 31, tzinfo=datetime.timezone.utc), decimal.Decimal("123456.7890"), b"\x00\xff",
        ["a", None, "c"], [[1, 2], [3, 4]], asyncpg.Range(1, 5), asyncpg.Point(1.5, -2), "10.71.3.0/24", uuid.UUID(int=7),
        datetime.timedelta(days=1, seconds=2), '{"a": [1, null]}',
    )
    places = ", ".join(f"${n + 1}" for n in range(len(row)))
    await conn.execute(f"INSERT INTO things VALUES ({places})", *row)
    await conn.executemany("INSERT INTO things (id, name) VALUES ($1, $2)", [(n, f"name {n}") for n in range(2, 500)])
    say(dict(await conn.fetchrow("SELECT * FROM things WHERE id = 1")))
    say(await conn.fetchval("SELECT count(*) FROM things"))
    say([tuple(r) for r in await conn.fetch("SELECT id, name FROM things WHERE id = ANY($1::int[]) ORDER BY 1", [3, 5, 7])])
    say(await conn.execute("SELECT 1; UPDATE things SET name = 'x' WHERE id > 490; SELECT 2"))


async def statements(conn):
    find = await conn.prepare("SELECT name, $2::text AS also FROM things WHERE id = $1")
    say([(p.name, p.kind) for p in find.get_parameters()], [(a.name, a.type.name) for a in find.get_attributes()])
    for id in (2, 3, 9999):
        say(await find.fetchrow(id, "more"))
    say(await conn.fetch("SELECT id FROM things ORDER BY id LIMIT $1", 5, timeout=10))


async def cursors(conn):
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        total = 0
        async for record in conn.cursor("SELECT id FROM things ORDER BY id", prefetch=50):
            total += record["id"]
        say("iterated", total)
        cursor = await conn.cursor("SELECT id FROM things WHERE id > $1 ORDER BY id", 100)
        say(await cursor.forward(10), [r["id"] for r in await cursor.fetch(3)], await cursor.fetchrow())


async def copies(conn):
    records = [(n, f"row {n}\t\\", None if n % 3 else b"\x01" * n) for n in range(300)]
    await conn.execute("CREATE TABLE copied (id int, text text, raw bytea)")
    say(await conn.copy_records_to_table("copied", records=records))
    out = io.BytesIO()
    say(await conn.copy_from_table("copied", output=out, format="csv"), len(out.getvalue()))
    out.seek(0)
    say(await conn.copy_to_table("copied", source=out, format="csv"))
    out = io.BytesIO()
    say(await conn.copy_from_query("SELECT * FROM copied WHERE id < $1", 5, output=out, format="binary"), len(out.getvalue()))
    try:
        await conn.copy_to_table("copied", source=io.BytesIO(b"not a number,x,y\n"), format="csv")
    except asyncpg.PostgresError as error:
        say(type(error).__name__, error.sqlstate, error.context)


async def errors(conn):
    for statement, args in (("SELECT 1/$1::int", (0,)), ("SELECT nonsense", ()), ("INSERT INTO things (id) VALUES ($1)", (1,))):
        try:
            await conn.fetch(statement, *args)
        except asyncpg.PostgresError as error:
            say(type(error).__name__, error.sqlstate, error, error.detail)
    try:
        async with conn.transaction():
            await conn.execute("DELETE FROM things")
            async with conn.transaction():
                await conn.execute("SELECT broken")
    except asyncpg.UndefinedColumnError as error:
        say("rolled back", error)
    say(await conn.fetchval("SELECT count(*) FROM things"))
    try:
        await conn.execute("SELECT pg_sleep(60)", timeout=0.3)
    except asyncio.TimeoutError:
        say("timed out")
    say("afterwards", await conn.fetchval("SELECT 1"))


async def notifications(conn):
    heard = asyncio.Queue()
    await conn.add_listener("news", lambda *what: heard.put_nowait(what[2:]))
    conn.add_log_listener(lambda conn, message: say("notice:", message.message))
    await conn.execute("DO $$BEGIN RAISE NOTICE 'hello'; END$$")
    other = await connect()
    await other.execute("SELECT pg_notify('news', 'read all about it')")
    await other.close()
    say(await asyncio.wait_for(heard.get(), 15))


async def main():
    conn = await connect()
    for part in (values, statements, cursors, copies, errors, notifications):
        say("---", part.__name__)
        await part(conn)
    await conn.close()
    async with asyncpg.create_pool(min_size=2, max_size=5) as pool:
        async def one(n):
            async with pool.acquire() as conn:
                return await conn.fetchval("SELECT $1::int + count(*) FROM things", n)

        say(await asyncio.gather(*(one(n) for n in range(20))))
    say("the last line")


assert os.environ["PGHOST"]
asyncio.run(main())
