package histories

import (
	"net"
	"sync"
)

// Proxy stands between one process and a server. It can be told to let nothing through, as a
// network does that drops packets: connections stay, and are silent.
type Proxy struct {
	listener net.Listener
	mu       sync.Mutex
	passing  sync.Cond
	blocked  bool
	closed   bool
	conns    map[net.Conn]bool
}

// NewProxy listens on the loopback interface.
func NewProxy(server string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, conns: map[net.Conn]bool{}}
	p.passing.L = &p.mu
	go p.accept(server)
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Block lets nothing through, or again everything that was sent.
func (p *Proxy) Block(block bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked = block
	p.passing.Broadcast()
}

// Close ends all connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.listener.Close()
	for conn := range p.conns {
		conn.Close()
	}
	p.passing.Broadcast()
}

func (p *Proxy) accept(server string) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client, server)
	}
}

func (p *Proxy) serve(client net.Conn, server string) {
	defer client.Close()
	if !p.pass() {
		return
	}
	far, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[far] = true, true
	p.mu.Unlock()
	go p.copy(far, client)
	p.copy(client, far)
}

func (p *Proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if !p.pass() {
			return
		}
		if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
			return
		}
	}
}

// pass waits while nothing goes through; false when the proxy is closed.
func (p *Proxy) pass() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.blocked && !p.closed {
		p.passing.Wait()
	}
	return !p.closed
}
