# redis-rb, as it comes.
require 'redis'

def check(what, got, want)
  abort "#{what}: got #{got.inspect}, want #{want.inspect}" unless got == want
end

client = Redis.new(host: ARGV[0], port: ARGV[1].to_i)
check 'ping', client.ping, 'PONG'
client.flushdb
check 'set', client.set('key', 'value', ex: 100), 'OK'
check 'get', client.get('key'), 'value'
check 'ttl', client.ttl('key').between?(1, 100), true
check 'set nx', client.set('key', 'other', nx: true), false
client.mset('a', 1, 'b', 2)
check 'mget', client.mget('a', 'missing', 'b'), ['1', nil, '2']
check 'pipelined', client.pipelined { |p| p.incr('a'); p.get('b') }, [2, '2']
check 'multi', client.multi { |t| t.incr('a'); t.get('a') }, [3, '3']
500.times { |i| client.set("scan:#{i}", i) }
check 'scan', client.scan_each(match: 'scan:*').to_a.uniq.size, 500
check 'del', client.del('a', 'b', 'missing'), 2
