"""Results and parameters of tens of megabytes, by two drivers, at once and in parts."""

import asyncio
import hashlib
import os

import asyncpg
import psycopg

ROWS = "SELECT n, repeat(md5(n::text), 32) AS text FROM generate_series(1, 50000) n"
# Nothing that compresses, or repeats where it is cut.
value = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(10 * 2**20 // 32))


def digest(rows):
    whole = hashlib.sha256()
    for n, text in rows:
        whole.update(b"%d %s\n" % (n, text.encode()))
    return whole.hexdigest()


def by_psycopg():
    with psycopg.connect() as conn:
        for binary in (False, True):
            with conn.cursor(binary=binary) as cur:
                print("rows", digest(cur.execute(ROWS)))
            with conn.cursor(binary=binary) as cur:
                print("streamed", digest(cur.stream(ROWS)))
        with conn.cursor() as cur, cur.copy(f"COPY ({ROWS}) TO STDOUT") as copy:
            whole = hashlib.sha256()
            for block in copy:
                whole.update(block)
            print("copied", whole.hexdigest())
        print("bound", conn.execute("SELECT md5(%b)", (value,)).fetchone())
        # Both directions at once, and what is behind them.
        with conn.pipeline():
            cursors = [conn.execute("SELECT %b::bytea", (value,), binary=True) for _ in range(4)]
            last = conn.execute("SELECT 'behind'")
            print("echoed", [cur.fetchone()[0] == value for cur in cursors], last.fetchone())


async def by_asyncpg():
    conn = await asyncpg.connect()
    print("rows", digest(await conn.fetch(ROWS)))
    async with conn.transaction():
        whole = [tuple(record) async for record in conn.cursor(ROWS, prefetch=1000)]
        print("in parts", digest(whole))
    print("bound", await conn.fetchval("SELECT md5($1::bytea)", value))
    print("echoed", await conn.fetchval("SELECT $1::bytea", value) == value)
    await conn.close()


assert os.environ["PGSSLMODE"] == "verify-full"
by_psycopg()
asyncio.run(by_asyncpg())
print("the last line")
