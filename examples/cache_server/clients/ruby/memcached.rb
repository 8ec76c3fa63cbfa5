# dalli, as it comes but for the protocol: the meta protocol instead of the binary one.
require 'dalli'

def check(what, got, want)
  abort "#{what}: got #{got.inspect}, want #{want.inspect}" unless got == want
end

client = Dalli::Client.new("#{ARGV[0]}:#{ARGV[1]}", protocol: :meta)
client.flush
check 'set', !client.set('key', 'value', 100).nil?, true
check 'get', client.get('key'), 'value'
check 'add', client.add('key', 'other'), false
check 'cas', !client.cas('key') { |value| "#{value}!" }.nil?, true
check 'get', client.get('key'), 'value!'
client.set('n', '10', 0, raw: true)
check 'incr', client.incr('n', 5), 15
check 'decr', client.decr('n', 100), 0
client.set_multi({ 'x' => '1', 'y' => '2' }, 100) if client.respond_to?(:set_multi)
check 'get_multi', client.get_multi('key', 'missing').keys, ['key']
check 'touch', client.touch('key', 1000), true
check 'delete', client.delete('key'), true
check 'get', client.get('key'), nil
check 'fetch', client.fetch('made', 10) { 'once' }, 'once'
