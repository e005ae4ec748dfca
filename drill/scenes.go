package drill

import "context"

func oneNodeCutOff(ctx context.Context, s *stage) error      { return notRun("not written yet") }
func loginStorm(ctx context.Context, s *stage) error         { return notRun("not written yet") }
func limiterDead(ctx context.Context, s *stage) error        { return notRun("not written yet") }
func lockoutAttack(ctx context.Context, s *stage) error      { return notRun("not written yet") }
func certificateExpired(ctx context.Context, s *stage) error { return notRun("not written yet") }
func upgradeUnderLoad(ctx context.Context, s *stage) error   { return notRun("not written yet") }
func xeroDay(ctx context.Context, s *stage) error            { return notRun("not written yet") }
