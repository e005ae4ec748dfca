package storetest

import (
	"crypto/rand"
	"os"
	"sync"
	"testing"

	"gatehouse/store/pgtemp"
)

// Postgres returns the address of a fresh, empty database, dropped after the test.
func Postgres(t testing.TB) string {
	t.Helper()
	server, err := startOnce()
	if err != nil {
		t.Fatalf("PostgreSQL is needed and missing: %v\nInstall it, or set GATEHOUSE_TEST_POSTGRES.", err)
	}
	name := "gatehouse_" + rand.Text()
	dsn, err := pgtemp.MakeDatabase(server.URL, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pgtemp.DropDatabase(server.URL, name); err != nil {
			t.Error(err)
		}
	})
	return dsn
}

// startOnce starts a server for this process if the environment names none. What
// it returns holds the server alive; nobody closes it, it ends with the process.
var startOnce = sync.OnceValues(func() (*pgtemp.Server, error) {
	if url := os.Getenv("GATEHOUSE_TEST_POSTGRES"); url != "" {
		return &pgtemp.Server{URL: url}, nil
	}
	return pgtemp.Start(pgtemp.Options{})
})
