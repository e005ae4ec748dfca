package pgtemp_test

import (
	"os"
	"path/filepath"
	"testing"

	"gatehouse/store/pgtemp"
)

// folder is one that PostgreSQL's user can reach.
func folder(t *testing.T, name string) string {
	t.Helper()
	top, err := os.MkdirTemp("", "gatehouse-machine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	dir := filepath.Join(top, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(top, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAMachineIsFrozenKilledAndReplacedWithoutLosingACommit(t *testing.T) {
	first, err := pgtemp.NewMachine(folder(t, "first"), "")
	must(t, err)
	t.Cleanup(func() { first.Stop() })
	must(t, first.Start())
	must(t, first.MakeDatabase("x", ""))

	must(t, first.Freeze())
	if !first.Frozen() {
		t.Error("a frozen machine says that it is not")
	}
	must(t, first.Thaw())
	if first.Frozen() {
		t.Error("a thawed machine says that it is frozen")
	}

	second, err := first.Follower(folder(t, "second"), 0)
	must(t, err)
	t.Cleanup(func() { second.Stop() })
	must(t, first.Synchronous(true))
	must(t, first.ExecIn("x", "CREATE TABLE kept (n INT)"))
	must(t, first.Kill())
	if first.Runs() {
		t.Error("a killed machine runs")
	}
	if second.ExecIn("x", "CREATE TABLE early (n INT)") == nil {
		t.Error("a standby server takes writes")
	}
	must(t, second.Synchronous(false))
	must(t, second.Promote())
	must(t, second.ExecIn("x", "DROP TABLE kept"))

	must(t, first.Set("synchronous_standby_names = ''")) // or the next commit waits for a standby server for ever
	must(t, first.Start())
	must(t, first.ExecIn("x", "DROP TABLE kept"))
	must(t, first.Stop())
	copied, err := pgtemp.NewMachine(folder(t, "copy"), first.Dir())
	must(t, err)
	t.Cleanup(func() { copied.Stop() })
	must(t, copied.Start())
	must(t, copied.ExecIn("x", "CREATE TABLE kept (n INT)"))
}
