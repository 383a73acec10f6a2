"""psycopg 3: text and binary, pipelines, COPY, server cursors, notifications, transactions, errors."""

import asyncio
import datetime
import decimal
import logging
import uuid

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb


# It warns of the rest of a broken pipeline, or not, by how much of that had come already.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)


def say(*what):
    print(*what, flush=True)


def tables(conn):
    conn.execute("CREATE TABLE people (id int PRIMARY KEY, name text, at timestamptz, sum numeric, raw bytea, doc jsonb)")
    at = datetime.datetime(2026, 1, 31, 12, 0, tzinfo=datetime.timezone.utc)
    rows = [
        (1, "Ada", at, decimal.Decimal("12.50"), b"\x00\xff", Jsonb({"a": [1, None]})),
        (2, None, None, None, None, None),
        (3, "O'Neil \\ \"x\"\n\t€", at, decimal.Decimal("-1e20"), b"", Jsonb([])),
    ]
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO people VALUES (%s, %s, %s, %s, %s, %s) RETURNING id", rows, returning=True)
        while True:
            say("inserted", cur.fetchone())
            if not cur.nextset():
                break
    conn.commit()


def selects(conn):
    for binary in (False, True):
        with conn.cursor(binary=binary, row_factory=dict_row) as cur:
            for row in cur.execute("SELECT * FROM people ORDER BY id"):
                say("binary" if binary else "text", row)
            cur.execute(
                "SELECT %s::uuid, %s::int8[], %s::date, %s::float8, %s::interval, %s::bool, %b::int2",
                (uuid.UUID(int=7), [1, None, 2**40], datetime.date(1815, 12, 10), 0.1, datetime.timedelta(1, 2), True, 5),
            )
            say(cur.fetchone())
    # Prepared by the driver after a few times, and when told.
    for round in range(8):
        say(conn.execute("SELECT name FROM people WHERE id = %s", (round % 4,)).fetchall())
    say(conn.execute("SELECT count(*) FROM people WHERE id < %s", (9,), prepare=True).fetchone())
    conn.commit()


def pipelines(conn):
    with conn.pipeline() as pipeline:
        cursors = [conn.execute("SELECT %s::int * 2", (n,)) for n in range(50)]
        pipeline.sync()
        say("pipelined", [cur.fetchone()[0] for cur in cursors])
        conn.execute("SELECT 1")
        conn.commit()
    try:
        with conn.pipeline():
            first = conn.execute("SELECT 'before'")
            conn.execute("SELECT 1/0")
            skipped = conn.execute("SELECT 'after'")
            skipped.fetchall()
    except psycopg.Error as error:
        say("in a pipeline", type(error).__name__, error.sqlstate)
    conn.rollback()
    with conn.pipeline() as pipeline:
        with conn.transaction():
            conn.execute("UPDATE people SET name = 'piped' WHERE id = 2")
        pipeline.sync()
    say(first.fetchone(), conn.execute("SELECT name FROM people WHERE id = 2").fetchone())
    conn.commit()


def copies(conn):
    conn.execute("CREATE TABLE copied (id int8, text text, raw bytea)")
    with conn.cursor() as cur:
        with cur.copy("COPY copied FROM STDIN") as copy:
            for n in range(2000):
                copy.write_row((n, f"row {n}\t\\", b"x" * (n % 7)))
        with cur.copy("COPY copied FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int8", "text", "bytea"])
            for n in range(2000, 2100):
                copy.write_row((n, None, b""))
        try:
            with cur.copy("COPY copied FROM STDIN"):
                raise RuntimeError("changed my mind")
        except RuntimeError as error:
            say("copy failed:", error, conn.info.transaction_status.name)
    conn.rollback()
    conn.execute("CREATE TABLE copied AS SELECT n AS id, 'row ' || n AS text FROM generate_series(1, 3000) n")
    conn.commit()
    with conn.cursor() as cur:
        with cur.copy("COPY copied TO STDOUT") as copy:
            say("copied out", sum(len(bytes(block)) for block in copy))
        with cur.copy("COPY (SELECT * FROM copied LIMIT 3) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            say(list(copy.rows()))
        try:
            cur.execute("COPY nothing TO STDOUT")
        except psycopg.Error as error:
            say(error.sqlstate)
    conn.rollback()


def cursors(conn):
    with conn.cursor(name="named") as cur:
        cur.itersize = 100
        cur.execute("SELECT * FROM copied ORDER BY id")
        say("server cursor", sum(row[0] for row in cur))
    with conn.cursor(name="scrolled", scrollable=True, binary=True) as cur:
        cur.execute("SELECT id FROM copied ORDER BY id")
        cur.scroll(100)
        say(cur.fetchmany(3))
        cur.scroll(0, mode="absolute")
        say(cur.fetchone())
    with conn.cursor() as cur:
        say("streamed", sum(row[0] for row in cur.stream("SELECT id FROM copied")))
    conn.commit()


def errors(conn):
    for statement in ("SELECT nonsense", "INSERT INTO people (id) VALUES (1)", "SELECT 'x'::int", "SELEC 1"):
        try:
            conn.execute(statement)
        except psycopg.Error as error:
            say(error.sqlstate, error.diag.message_primary, error.diag.message_detail, error.diag.constraint_name)
        conn.rollback()
    with conn.transaction():
        try:
            with conn.transaction():
                conn.execute("DELETE FROM people")
                raise psycopg.Rollback()
        finally:
            say("kept", conn.execute("SELECT count(*) FROM people").fetchone())
    conn.add_notice_handler(lambda diag: say("notice:", diag.severity, diag.message_primary))
    conn.execute("DO $$BEGIN RAISE NOTICE 'hello'; END$$")
    conn.commit()


def notifications(conn):
    conn.autocommit = True
    conn.execute("LISTEN news")
    with psycopg.connect() as other:
        for word in ("extra", "extra", "read all about it"):
            other.execute("SELECT pg_notify('news', %s)", (word,))
            other.commit()
    for notify in conn.notifies(timeout=15, stop_after=3):
        say("notified", notify.channel, notify.payload)


async def together():
    async def one(n):
        async with await psycopg.AsyncConnection.connect() as conn:
            cur = await conn.execute("SELECT %s + pg_catalog.length(%s)", (n, "x" * n))
            return await cur.fetchone()

    say("together", await asyncio.gather(*(one(n) for n in range(8))))


def main():
    with psycopg.connect() as conn:
        say(conn.info.parameter_status("server_version") is not None, conn.info.encoding)
        for part in (tables, selects, pipelines, copies, cursors, errors, notifications):
            say("---", part.__name__)
            part(conn)
        identifier = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(sql.Identifier("name"), sql.Identifier("people"))
        say(conn.execute(identifier).fetchall())
    asyncio.run(together())
    say("the last line")


main()
