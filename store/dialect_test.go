package store

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestTheCodeOfAPostgresErrorDecidesWhetherItIsAnOutage(t *testing.T) {
	for code, want := range map[string]verdict{
		"40001": again, "40P01": again, // serialization failure, deadlock
		"57P01": lost, "25P03": lost, // shut down, idle in transaction
		"57014": away, "53300": away, "53100": away, "25006": away, "55P03": away, "08006": away, "28P01": away, "3D000": away, "57P03": away, "XX001": away, "58030": away,
		"23505": plain, "42601": plain, "42P01": plain, "22P02": plain, "25P02": plain,
	} {
		if got := judgePostgres(fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("SQLSTATE %s is judged %d, want %d", code, got, want)
		}
	}
}

func TestAStatementIsParsedOnceAConnectionOnSQLite(t *testing.T) {
	db, err := sqlitePool(filepath.Join(t.TempDir(), "x.db"), false, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 3 {
		if err := db.QueryRowContext(t.Context(), "SELECT $1 + 1", 1).Scan(new(int)); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Raw(func(c any) error {
		if n := len(c.(*keepingConn).kept); n != 1 {
			t.Errorf("%d statements are kept, want the one", n)
		}
		return nil
	})
}
