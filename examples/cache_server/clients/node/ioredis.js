// ioredis, as it comes.
const assert = require('node:assert/strict');
const Redis = require('ioredis').default ?? require('ioredis');

(async () => {
  const [host, port] = process.argv.slice(2);
  const client = new Redis(Number(port), host);
  assert.equal(await client.ping(), 'PONG');
  await client.flushdb();
  assert.equal(await client.set('key', 'value', 'EX', 100), 'OK');
  assert.equal(await client.get('key'), 'value');
  assert.deepEqual(await client.getBuffer('key'), Buffer.from('value'));
  const ttl = await client.ttl('key');
  assert(ttl > 0 && ttl <= 100);
  assert.equal(await client.set('key', 'other', 'NX'), null);
  await client.mset('a', '1', 'b', '2');
  assert.deepEqual(await client.mget('a', 'missing', 'b'), ['1', null, '2']);
  assert.equal(await client.incrby('a', 41), 42);
  assert.equal(await client.getdel('b'), '2');
  const replies = await client.pipeline().set('p', '1').incr('p').get('p').exec();
  assert.deepEqual(replies, [[null, 'OK'], [null, 2], [null, '2']]);
  assert.deepEqual(await client.multi().incr('p').get('p').exec(), [[null, 3], [null, '3']]);
  const big = Buffer.alloc(1 << 20, 'x');
  await client.set('big', big);
  assert.deepEqual(await client.getBuffer('big'), big);
  for (let i = 0; i < 500; i++) await client.set(`scan:${i}`, i);
  const seen = new Set();
  for await (const keys of client.scanStream({ match: 'scan:*' })) keys.forEach((k) => seen.add(k));
  assert.equal(seen.size, 500);
  await assert.rejects(client.lpush('scan:1', 'x'));
  assert.equal(await client.unlink('big'), 1);
  await client.quit();
})().catch((error) => { console.error(error); process.exit(1); });
