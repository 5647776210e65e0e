package runtime

// DropWaits takes all waits out of the commands of a session that has run.
func (s *Session) DropWaits() {
	cmds := s.arenas.phases[s.e.plan.Phase].commands
	for i := range cmds {
		cmds[i].Waits = nil
	}
}
