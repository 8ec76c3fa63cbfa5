"""pymemcache, as it comes."""
import sys

from pymemcache.client.base import Client
from pymemcache.client.hash import HashClient

host, port = sys.argv[1], int(sys.argv[2])
client = Client((host, port))
client.flush_all(noreply=False)
assert client.version()
assert client.set("key", b"value\r\n", expire=100, noreply=False) is True
assert client.get("key") == b"value\r\n"
assert client.add("key", b"x", noreply=False) is False
value, token = client.gets("key")
assert client.cas("key", b"second", token, noreply=False) is True
assert client.cas("key", b"third", token, noreply=False) is False
assert client.append("key", b"!", noreply=False) is True
assert client.get("key") == b"second!"
assert client.set_many({f"k{i}": str(i) for i in range(100)}, noreply=False) == []
assert client.get_many([f"k{i}" for i in range(101)]) == {f"k{i}": str(i).encode() for i in range(100)}
assert client.incr("k10", 5) == 15
assert client.decr("k10", 100) == 0
assert client.touch("k10", 1000, noreply=False) is True
assert client.delete("k11", noreply=False) is True
assert client.delete("k11", noreply=False) is False
assert b"curr_items" in client.stats()
assert HashClient([(host, port)]).get("k12") == b"12"
