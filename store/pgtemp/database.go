package pgtemp

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"time"
)

// MakeDatabase makes an empty database on a server and returns its address. The
// server's address must be a URL of somebody who may make databases.
func MakeDatabase(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("the address of the PostgreSQL server is not a URL")
	}
	u.Path = "/" + name
	return u.String(), administer(server, `CREATE DATABASE "`+name+`"`)
}

// DropDatabase throws everybody out of a database and removes it.
func DropDatabase(server, name string) error {
	return administer(server, `DROP DATABASE "`+name+`" WITH (FORCE)`)
}

// administer has a time of its own: a database is dropped when the caller's is over.
func administer(server, statement string) error {
	db, err := sql.Open("pgx", server)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
