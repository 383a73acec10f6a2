-- A little of everything that a dump has to know.
SET SESSION AUTHORIZATION by_trust;
CREATE SCHEMA shop;
CREATE EXTENSION citext;
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent');
CREATE DOMAIN shop.email AS citext CHECK (VALUE ~ '@');
CREATE TYPE shop.money AS (amount numeric(12, 2), currency char(3));
CREATE TABLE shop.customers (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email shop.email UNIQUE, notes jsonb DEFAULT '{}'
);
COMMENT ON COLUMN shop.customers.email IS 'where bills go';
CREATE TABLE shop.orders (
    id int, customer int REFERENCES shop.customers, at timestamptz NOT NULL, state shop.state, total shop.money,
    tags text[], raw bytea, span tstzrange, PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE shop.orders_2026 PARTITION OF shop.orders FOR VALUES FROM ('2025-12-20') TO ('2027-01-01');
CREATE TABLE shop.orders_rest PARTITION OF shop.orders DEFAULT;
CREATE INDEX ON shop.orders (customer) WHERE state = 'new';
CREATE SEQUENCE shop.numbers START 1000 INCREMENT 7;
CREATE FUNCTION shop.total(int) RETURNS numeric LANGUAGE sql STABLE
    AS 'SELECT sum((total).amount) FROM shop.orders WHERE customer = $1';
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.state := coalesce(NEW.state, 'new'); RETURN NEW; END$$;
CREATE TRIGGER touch BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE VIEW shop.open AS SELECT c.name, o.* FROM shop.orders o JOIN shop.customers c ON c.id = o.customer WHERE state <> 'sent';
CREATE MATERIALIZED VIEW shop.sums AS SELECT customer, count(*) FROM shop.orders GROUP BY 1;
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customers USING (name = current_user);
GRANT SELECT ON shop.open TO by_scram;
INSERT INTO shop.customers (name, email, notes) SELECT 'name ' || n, 'n' || n || '@example.org', jsonb_build_object('n', n)
    FROM generate_series(1, 100) n;
INSERT INTO shop.orders SELECT n, 1 + n % 100, '2025-12-01'::timestamptz + n * interval '1 hour', NULL, ROW(n * 1.25, 'EUR')::shop.money,
    ARRAY['a', NULL, E'b"\\c'], decode(lpad(to_hex(n), 8, '0'), 'hex'), tstzrange(NULL, '2026-02-03') FROM generate_series(1, 900) n;
REFRESH MATERIALIZED VIEW shop.sums;
SELECT nextval('shop.numbers');
SELECT lo_from_bytea(4711, '\x0102030405');
