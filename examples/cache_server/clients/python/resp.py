"""redis-py and valkey-py, as they come: the calls of a cache, and client-side caching."""
import importlib
import sys
import time

name, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
library = importlib.import_module(name)
client = (library.Redis if name == "redis" else library.Valkey)(host=host, port=port)

assert client.ping() is True
client.flushdb()
assert client.set("key", b"\x00value\r\n", ex=100) is True
assert client.get("key") == b"\x00value\r\n"
assert 0 < client.ttl("key") <= 100
assert client.set("key", "other", nx=True) is None
assert client.set("key", "other", keepttl=True, get=True) == b"\x00value\r\n"
assert 0 < client.pttl("key") <= 100_000
assert client.mset({"a": "1", "b": "2"}) is True
assert client.mget("a", "missing", "b") == [b"1", None, b"2"]
assert client.incrby("a", 41) == 42
assert client.incrbyfloat("b", 0.5) == 2.5
assert client.append("key", "!") == 6
assert client.getrange("key", 0, 1) == b"ot"
assert client.getdel("key") == b"other!"
assert client.get("key") is None
assert client.getex("a", px=5000) == b"42"
assert client.persist("a") is True
assert client.exists("a", "b", "c") == 2
assert client.expire("a", 10, gt=True) is False
big = b"x" * (1 << 20)
client.set("big", big)
assert client.get("big") == big
for i in range(1000):
    client.set(f"scan:{i}", i)
assert len(set(client.scan_iter(match="scan:*", count=50))) == 1000
with client.pipeline(transaction=False) as pipe:
    for i in range(1000):
        pipe.get(f"scan:{i}")
    assert pipe.execute() == [str(i).encode() for i in range(1000)]
with client.pipeline() as pipe:
    pipe.watch("a")
    pipe.multi()
    pipe.incr("a")
    client.set("a", "7")
    try:
        pipe.execute()
    except library.WatchError:
        pass
    else:
        raise AssertionError("EXEC ran although a watched key had changed")
assert client.transaction(lambda pipe: pipe.incr("a")) == [8]
try:
    client.lpush("scan:1", "x")
except library.ResponseError:
    pass
else:
    raise AssertionError("a list was taken over a string")
assert client.unlink("big", "a") == 2
assert client.dbsize() == 1001
assert "maxmemory" in client.info("memory")
assert client.client_setname("clients") is True
assert client.client_getname() in (b"clients", "clients")

if name == "redis":
    from redis.cache import CacheConfig

    near = library.Redis(host=host, port=port, protocol=3, cache_config=CacheConfig())
    near.set("near", "1")
    assert near.get("near") == b"1" and near.get("near") == b"1"
    client.set("near", "2")
    deadline = time.time() + 20
    while near.get("near") != b"2":
        assert time.time() < deadline, "the invalidation never came"
        time.sleep(0.01)
