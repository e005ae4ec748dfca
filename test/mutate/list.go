package main

// mutations is the one list of controls. The sentence says what the broken
// program would do to people; keep the replaced text as small as can be.
var mutations = []mutation{
	// ---- store ----
	{"a transaction inside a transaction is left out in silence",
		"store/store.go", "return fault.New(fault.Internal, errNested)", "return nil",
		"./store TestATransactionInsideATransactionIsRefusedAtOnce/sqlite"},
	{"what a refused change wrote is kept",
		"store/store.go", "case err != nil || p.tx.ReadOnly:\n\t\treturn false, err", "case err != nil && p.tx.ReadOnly:\n\t\treturn false, err",
		"./store TestAnErrorOfFnRollsBackAndComesBackUnchanged"},
	{"a deadlock is told to the person",
		"store/postgres.go", `case "40001", "40P01": // serialization failure, deadlock
		return again`, `case "40001": // serialization failure, deadlock
		return again`,
		"./store TestADeadlockIsTriedAgainUntilBothWritersAreDone"},
	{"a commit whose answer was lost is done twice",
		"store/store.go", "return false, fault.New(fault.Unavailable, fmt.Errorf(\"%w: %w\", ErrOutcomeUnknown, err))", "return true, fault.New(fault.Unavailable, fmt.Errorf(\"%w: %w\", ErrOutcomeUnknown, err))",
		"./store TestACommitWithoutAnAnswerIsUnknownAndNotTriedAgain"},
	{"background work takes the connections of a sign-in",
		"store/store.go", "return s.run(ctx, s.background.read, fn)", "return s.run(ctx, s.foreground.read, fn)",
		"./store TestBackgroundWorkNeverTakesAForegroundConnection/sqlite"},
	{"reading can write",
		"store/sqlite.go", `q["_pragma"] = append(q["_pragma"], "query_only(1)")`, `q.Set("_txlock", "deferred")`,
		"./store TestReadingRefusesToWriteAndSeesOneUnchangingView/sqlite"},
}
