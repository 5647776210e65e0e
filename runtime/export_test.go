package runtime

// DropWaits takes all waits out of the commands of a session that has run.
func (s *Session) DropWaits() {
	cmds := s.arenas.phases[s.e.plan.Phase].commands
	for i := range cmds {
		cmds[i].Waits = nil
	}
}

// Before returns, for each command of a phase, the one that its queue has before it, or -1.
func (a *Arenas) Before(phase string) []int {
	var out []int
	for _, s := range a.phases[phase].steps {
		out = append(out, s.before)
	}
	return out
}
