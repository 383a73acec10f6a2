"""What waits for people in the middle of other things: everything of 1000 bytes and more."""

import threading
import time

import psycopg

with psycopg.connect(autocommit=True) as conn:
    with conn.pipeline():
        first = conn.execute("SELECT 1")
        held = conn.execute("SELECT length('" + "x" * 1000 + "')")
        last = conn.execute("SELECT 3")
        print("in a pipeline:", first.fetchone(), held.fetchone(), last.fetchone())
    said = [conn.execute("SELECT length(%s)", ("x" * length,)).fetchone() for length in (10, 1200, 20)]
    print("by parameter:", *said)
    with conn.transaction():
        conn.execute("CREATE TABLE kept (text text)")
        conn.execute("INSERT INTO kept VALUES ('" + "x" * 1000 + "')")
    print("committed:", conn.execute("SELECT count(*) FROM kept").fetchone())

    told = threading.Event()
    conn.add_notice_handler(lambda notice: told.set())

    def cancel():
        told.wait()
        # Long enough to be seen waiting.
        time.sleep(1)
        conn.cancel()

    threading.Thread(target=cancel).start()
    print("cancel me", flush=True)
    try:
        conn.execute("SELECT 'never', '" + "y" * 1000 + "'")
    except psycopg.Error as error:
        print(f"cancelled: {error.sqlstate}, then", conn.execute("SELECT 4").fetchone())
