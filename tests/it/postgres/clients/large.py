"""Values of tens of megabytes, as parameters, as cells and in COPY."""

import psycopg

value = bytes(range(250)) * 120_000

with psycopg.connect() as conn:
    conn.execute("CREATE TABLE large (raw bytea)")
    conn.execute("ALTER TABLE large ALTER raw SET STORAGE EXTERNAL")
    conn.execute("INSERT INTO large VALUES (%b)", (value,))
    print("bound", conn.execute("SELECT length(raw) FROM large").fetchone()[0])
    print("read back", conn.execute("SELECT raw FROM large").fetchone()[0] == value)
    print("binary", conn.execute("SELECT raw FROM large", binary=True).fetchone()[0] == value)
    with conn.cursor() as cur, cur.copy("COPY large FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["bytea"])
        copy.write_row((value,))
    print("copied", conn.execute("SELECT sum(length(raw)) FROM large").fetchone()[0])
