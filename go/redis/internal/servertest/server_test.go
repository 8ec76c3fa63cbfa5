package servertest

import "testing"

func TestServerLives(t *testing.T) {
	Each(t, func(t *testing.T, s *Server) {
		s.Do(t, "SET", "k", "v")
		s.Pause()
		s.Resume()
		if got := s.Do(t, "GET", "k"); got != "v" {
			t.Fatalf("after a pause: %v", got)
		}
		s.Flush(t)
		if got := s.Do(t, "GET", "k"); got != nil {
			t.Fatalf("after a flush: %v", got)
		}
		s.Do(t, "SET", "k", "v")
		s.Kill()
		if _, err := s.TryDo("GET", "k"); err == nil {
			t.Fatal("it answers after its death")
		}
		s.Restart(t)
		if got := s.Do(t, "GET", "k"); got != nil {
			t.Fatalf("after a restart: %v", got)
		}
	})
}

func TestNamedServerIsTaken(t *testing.T) {
	t.Setenv("LARDER_VALKEY", "/no/such/program")
	if path, err := Find(Valkey); err == nil {
		t.Fatalf("found %s", path)
	}
}
