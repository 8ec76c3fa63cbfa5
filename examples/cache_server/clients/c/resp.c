/* hiredis, as it comes. */
#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

static redisContext *context;

/* One command; the reply, which must not be an error. */
static redisReply *call(const char *format, const char *a, const char *b) {
  redisReply *reply = redisCommand(context, format, a, b);
  assert(reply != NULL && reply->type != REDIS_REPLY_ERROR);
  return reply;
}

int main(int argc, char **argv) {
  assert(argc == 3);
  context = redisConnect(argv[1], atoi(argv[2]));
  assert(context != NULL && context->err == 0);
  freeReplyObject(call("FLUSHDB", NULL, NULL));
  redisReply *reply = call("SET %s %s EX 100", "key", "value");
  assert(reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "OK") == 0);
  freeReplyObject(reply);
  reply = call("GET %s", "key", NULL);
  assert(reply->type == REDIS_REPLY_STRING && reply->len == 5 && memcmp(reply->str, "value", 5) == 0);
  freeReplyObject(reply);
  reply = call("GET %s", "missing", NULL);
  assert(reply->type == REDIS_REPLY_NIL);
  freeReplyObject(reply);
  reply = call("TTL %s", "key", NULL);
  assert(reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 && reply->integer <= 100);
  freeReplyObject(reply);
  for (int i = 0; i < 1000; i++) redisAppendCommand(context, "INCR n");
  for (int i = 0; i < 1000; i++) {
    assert(redisGetReply(context, (void **)&reply) == REDIS_OK);
    assert(reply->type == REDIS_REPLY_INTEGER && reply->integer == i + 1);
    freeReplyObject(reply);
  }
  reply = redisCommand(context, "LPUSH n x");
  assert(reply->type == REDIS_REPLY_ERROR);
  freeReplyObject(reply);
  reply = call("MGET %s %s", "key", "missing");
  assert(reply->type == REDIS_REPLY_ARRAY && reply->elements == 2);
  freeReplyObject(reply);
  redisFree(context);
  return 0;
}
