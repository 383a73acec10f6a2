// node-postgres: text protocol, bound and named statements, a pool, notifications, errors; queries queued by the driver.
'use strict';

const { Client, Pool, types } = require('pg');

const say = (...what) => console.log(...what.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))));

async function values(client) {
  await client.query(`CREATE TABLE things (id int PRIMARY KEY, name text, at timestamptz, sum numeric, raw bytea,
                      tags text[], doc jsonb)`);
  const row = [1, 'Ada', new Date(Date.UTC(2026, 0, 31)), '123456.7890', Buffer.from([0, 255]), ['a', null, 'c'], { a: [1, null] }];
  const inserted = await client.query('INSERT INTO things VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *', row);
  say(inserted.command, inserted.rowCount, inserted.rows, inserted.fields.map((field) => [field.name, field.format]));
  const many = await client.query("INSERT INTO things (id, name) SELECT n, 'name ' || n FROM generate_series(2, 500) n");
  say(many.rowCount);
  const several = await client.query('SELECT 1 AS a; SELECT 2 AS b; UPDATE things SET name = NULL WHERE id = 3');
  say(several.map((result) => [result.command, result.rowCount, result.rows]));
  const arrays = await client.query({ text: 'SELECT id, name FROM things ORDER BY id LIMIT 3', rowMode: 'array' });
  say(arrays.rows);
  say((await client.query({ text: 'SELECT 7::int AS n, true AS yes', binary: true, values: [] })).rows);
}

async function statements(client) {
  for (const id of [1, 2, 9999]) {
    const found = await client.query({ name: 'find', text: 'SELECT name FROM things WHERE id = $1', values: [id] });
    say(found.rows);
  }
  // Not awaited one by one: the driver queues them.
  const together = await Promise.all(Array.from({ length: 20 }, (_, n) => client.query('SELECT $1::int * 2 AS n', [n])));
  say(together.map((result) => result.rows[0].n));
}

async function errors(client) {
  for (const [text, values] of [['SELECT 1/$1::int', [0]], ['SELECT nonsense', []], ['INSERT INTO things (id) VALUES (1)'],
    ['SELECT $1::int', ['x']], ['SELEC']]) {
    try {
      await client.query(text, values);
    } catch (error) {
      say(error.code, error.message, error.detail || '', error.constraint || '');
    }
  }
  await client.query('BEGIN');
  await client.query('DELETE FROM things');
  await client.query('SELECT broken').catch((error) => say('broken:', error.code));
  await client.query('SELECT 1').catch((error) => say('aborted:', error.code));
  await client.query('ROLLBACK');
  say((await client.query('SELECT count(*) FROM things')).rows);
}

async function notifications(client) {
  client.on('notice', (notice) => say('notice:', notice.message));
  await client.query("DO $$BEGIN RAISE NOTICE 'hello'; END$$");
  await client.query('LISTEN news');
  const heard = new Promise((resolve) => client.on('notification', (message) => resolve([message.channel, message.payload])));
  const other = new Client();
  await other.connect();
  await other.query("SELECT pg_notify('news', $1)", ['read all about it']);
  await other.end();
  say(await heard);
}

async function main() {
  const client = new Client();
  await client.connect();
  for (const part of [values, statements, errors, notifications]) {
    say('---', part.name);
    await part(client);
  }
  await client.end();
  const pool = new Pool({ max: 4 });
  const all = await Promise.all(Array.from({ length: 20 }, (_, n) => pool.query('SELECT $1::int + count(*) AS n FROM things', [n])));
  say(all.map((result) => result.rows[0].n));
  await pool.end();
  say(types.builtins.INT8, 'the last line');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
