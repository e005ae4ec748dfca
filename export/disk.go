package export

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// disk is the part of a file system that Files needs; tests pull its plug.
type disk interface {
	lock() (unlock func(), err error) // waits until no other process writes
	names() ([]string, error)         // what is in the folder
	open(name string) (file, error)   // to append; made when it is not there
	syncFolder() error                // makes new names last
}

type file interface {
	io.ReaderAt
	io.Writer // appends
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
}

// folder is a disk for real.
type folder string

// lockName is held by whoever writes: several nodes may have one folder.
const lockName = ".lock"

func (f folder) lock() (func(), error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, err
	}
	l, err := os.OpenFile(filepath.Join(string(f), lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return func() { _ = l.Close() }, nil // closing lets go
}

func (f folder) names() ([]string, error) {
	entries, err := os.ReadDir(string(f))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (f folder) open(name string) (file, error) {
	o, err := os.OpenFile(filepath.Join(string(f), name), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err // never a *diskFile of nil
	}
	return &diskFile{o}, nil
}

func (f folder) syncFolder() error {
	d, err := os.Open(string(f))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

type diskFile struct{ *os.File }

// Size is that of the file now, whoever wrote it.
func (f *diskFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
