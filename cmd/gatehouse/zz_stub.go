package main

import "github.com/alecthomas/kong"

type DemoCommand struct{}
type ServeCommand struct {
	kong.Plugins
	flags *flagValues
}
type AccountCommand struct{}
type BenchCommand struct{}

func (DemoCommand) Run() error     { return nil }
func (ServeCommand) Run() error    { return nil }
func (AccountCommand) Run() error  { return nil }
func (BenchCommand) Run() error    { return nil }
func noAccount(email string) error { return nil }
