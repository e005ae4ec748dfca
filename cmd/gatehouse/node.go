package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/id"
)

// nodeID reads this node's name from its data folder, and gives it one at the
// first start. Events and rows carry the name, so it must outlive a restart.
func nodeID(dataDir string) (id.Node, error) {
	path := filepath.Join(dataDir, "node")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newNode(dataDir, path)
	}
	if err != nil {
		return "", err
	}
	node, err := id.Parse[id.Node](strings.TrimSpace(string(text)))
	if err != nil {
		return "", next(fmt.Errorf("%s does not hold a node's name", path), "put it back from a backup, or remove it to give this node a new name")
	}
	return node, nil
}

// newNode writes the name beside its place and links it there, so that of two
// starts at the same time one wins and both read the same.
func newNode(dataDir, path string) (id.Node, error) {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return "", next(err, "make the folder and give it to the user Gatehouse runs as, or set data_dir")
	}
	node := id.New[id.Node](time.Now(), rand.Reader)
	f, err := os.CreateTemp(dataDir, ".node-*")
	if err != nil {
		return "", next(err, "let the user Gatehouse runs as write to %s, or set data_dir", dataDir)
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintln(f, node)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return nodeID(dataDir)
	} else if err != nil {
		return "", err
	}
	return node, nil
}

// occupant is who opens the house: a server stays, with a name and a standby of
// its own; a command visits.
type occupant struct {
	name  func(dataDir string) (id.Node, error)
	stays bool
}

func resident() occupant { return occupant{nodeID, true} }

// visitor is a command that writes beside the servers. It keeps no name: the data
// folder may belong to another user, and two processes must not share one.
func visitor() occupant {
	return occupant{name: func(string) (id.Node, error) { return id.New[id.Node](time.Now(), rand.Reader), nil }}
}
