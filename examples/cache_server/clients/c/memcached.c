/* libmemcached, as it comes: the text protocol. */
#include <assert.h>
#include <libmemcached/memcached.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  assert(argc == 3);
  memcached_st *c = memcached_create(NULL);
  assert(memcached_server_add(c, argv[1], (in_port_t)atoi(argv[2])) == MEMCACHED_SUCCESS);
  assert(memcached_flush(c, 0) == MEMCACHED_SUCCESS);
  assert(memcached_set(c, "key", 3, "value", 5, 100, 7) == MEMCACHED_SUCCESS);
  size_t length;
  uint32_t flags;
  memcached_return_t result;
  char *value = memcached_get(c, "key", 3, &length, &flags, &result);
  assert(result == MEMCACHED_SUCCESS && length == 5 && flags == 7 && memcmp(value, "value", 5) == 0);
  free(value);
  assert(memcached_add(c, "key", 3, "x", 1, 0, 0) == MEMCACHED_NOTSTORED);
  assert(memcached_append(c, "key", 3, "!", 1, 0, 0) == MEMCACHED_SUCCESS);
  assert(memcached_set(c, "n", 1, "10", 2, 0, 0) == MEMCACHED_SUCCESS);
  uint64_t n;
  assert(memcached_increment(c, "n", 1, 5, &n) == MEMCACHED_SUCCESS && n == 15);
  assert(memcached_decrement(c, "n", 1, 100, &n) == MEMCACHED_SUCCESS && n == 0);
  assert(memcached_touch(c, "key", 3, 1000) == MEMCACHED_SUCCESS);
  assert(memcached_delete(c, "key", 3, 0) == MEMCACHED_SUCCESS);
  value = memcached_get(c, "key", 3, &length, &flags, &result);
  assert(value == NULL && result == MEMCACHED_NOTFOUND);
  memcached_free(c);
  return 0;
}
