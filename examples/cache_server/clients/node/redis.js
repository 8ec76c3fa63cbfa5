// node-redis, as it comes, and with its client-side cache.
const assert = require('node:assert/strict');
const { createClient, BasicClientSideCache } = require('redis');

(async () => {
  const [host, port] = process.argv.slice(2);
  const url = `redis://${host}:${port}`;
  const client = createClient({ url });
  client.on('error', (error) => { throw error; });
  await client.connect();
  assert.equal(await client.ping(), 'PONG');
  await client.flushDb();
  assert.equal(await client.set('key', 'value', { expiration: { type: 'EX', value: 100 } }), 'OK');
  assert.equal(await client.get('key'), 'value');
  assert((await client.ttl('key')) <= 100);
  assert.equal(await client.set('key', 'other', { condition: 'NX' }), null);
  await client.mSet({ a: '1', b: '2' });
  assert.deepEqual(await client.mGet(['a', 'missing', 'b']), ['1', null, '2']);
  assert.equal(await client.incrBy('a', 41), 42);
  assert.equal(await client.getDel('b'), '2');
  assert.deepEqual(await client.multi().set('p', '1').incr('p').get('p').exec(), ['OK', 2, '2']);
  for (let i = 0; i < 500; i++) await client.set(`scan:${i}`, `${i}`);
  const seen = new Set();
  for await (const keys of client.scanIterator({ MATCH: 'scan:*' })) keys.forEach((k) => seen.add(k));
  assert.equal(seen.size, 500);
  await assert.rejects(client.lPush('scan:1', 'x'));

  const near = createClient({ url, RESP: 3, clientSideCache: new BasicClientSideCache() });
  near.on('error', (error) => { throw error; });
  await near.connect();
  await near.set('near', '1');
  assert.equal(await near.get('near'), '1');
  await client.set('near', '2');
  const deadline = Date.now() + 20000;
  while ((await near.get('near')) !== '2') {
    assert(Date.now() < deadline, 'the invalidation never came');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await near.close();
  await client.close();
})().catch((error) => { console.error(error); process.exit(1); });
