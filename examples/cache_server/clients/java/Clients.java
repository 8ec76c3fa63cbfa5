import io.lettuce.core.RedisClient;
import io.lettuce.core.ScanIterator;
import io.lettuce.core.SetArgs;
import io.lettuce.core.TrackingArgs;
import io.lettuce.core.support.caching.CacheAccessor;
import io.lettuce.core.support.caching.ClientSideCaching;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.params.SetParams;

/** Jedis and Lettuce as they come: the calls of a cache, and Lettuce's client-side cache. */
public class Clients {
  static void check(String what, Object got, Object want) {
    if (!want.equals(got)) {
      System.err.println(what + ": got " + got + ", want " + want);
      System.exit(1);
    }
  }

  public static void main(String[] args) throws Exception {
    int port = Integer.parseInt(args[2]);
    if (args[0].equals("jedis")) {
      jedis(args[1], port);
    } else {
      lettuce(args[1], port);
    }
  }

  static void jedis(String host, int port) {
    try (Jedis client = new Jedis(host, port)) {
      check("PING", client.ping(), "PONG");
      client.flushDB();
      check("SET", client.set("key", "value", SetParams.setParams().ex(100)), "OK");
      check("GET", client.get("key"), "value");
      check("TTL", client.ttl("key") > 0 && client.ttl("key") <= 100, true);
      check("SET NX", client.set("key", "x", SetParams.setParams().nx()) == null, true);
      client.mset("a", "1", "b", "2");
      check("MGET", client.mget("a", "missing", "b").toString(), "[1, null, 2]");
      check("INCRBY", client.incrBy("a", 41), 42L);
      check("GETDEL", client.getDel("b"), "2");
      Pipeline pipe = client.pipelined();
      for (int i = 0; i < 1000; i++) {
        pipe.set("p:" + i, "" + i);
      }
      check("pipeline", pipe.syncAndReturnAll().size(), 1000);
      var tx = client.multi();
      tx.incr("a");
      tx.get("a");
      check("EXEC", tx.exec(), List.of(43L, "43"));
      try {
        client.lpush("a", "x");
        check("LPUSH", "taken", "refused");
      } catch (JedisDataException refused) {
        // As it should be.
      }
      check("DEL", client.del("a", "key", "missing"), 2L);
    }
  }

  static void lettuce(String host, int port) throws Exception {
    RedisClient client = RedisClient.create("redis://" + host + ":" + port);
    var connection = client.connect();
    var sync = connection.sync();
    check("PING", sync.ping(), "PONG");
    sync.flushdb();
    check("SET", sync.set("key", "value", SetArgs.Builder.ex(100)), "OK");
    check("GET", sync.get("key"), "value");
    check("PTTL", sync.pttl("key") <= 100_000, true);
    check("INCR", sync.incr("n"), 1L);
    for (int i = 0; i < 500; i++) {
      sync.set("scan:" + i, "" + i);
    }
    long seen = ScanIterator.scan(sync).stream().filter(k -> k.startsWith("scan:")).distinct().count();
    check("SCAN", seen, 500L);
    sync.multi();
    sync.incr("n");
    sync.incr("n");
    check("EXEC", sync.exec().stream().toList().toString(), "[2, 3]");

    var local = new ConcurrentHashMap<String, String>();
    var near = ClientSideCaching.enable(CacheAccessor.forMap(local), client.connect(), TrackingArgs.Builder.enabled());
    check("cached GET", near.get("key"), "value");
    sync.set("key", "new");
    long deadline = System.nanoTime() + 20_000_000_000L;
    while (!"new".equals(near.get("key"))) {
      check("the invalidation came", System.nanoTime() < deadline, true);
      Thread.sleep(10);
    }
    client.shutdown();
  }
}
