"""A known number of statements, prepared and run in different ways."""

import psycopg

with psycopg.connect() as conn:
    conn.execute("CREATE TABLE t (n int)")  # Behind a BEGIN of the driver's.
    for n in range(3):
        conn.execute("SELECT %s::int", (n,), prepare=True).fetchone()
    with conn.pipeline():
        for n in range(20):
            conn.execute("SELECT %s::int + 1", (n,))
    with conn.cursor(name="c") as cur:
        cur.execute("SELECT generate_series(1, 10)")
        while cur.fetchmany(4):
            if cur.rownumber == 10:
                break
    with conn.cursor() as cur, cur.copy("COPY t FROM STDIN") as copy:
        for n in range(50):
            copy.write_row((n,))
