//go:build !drill

package main

import "context"

// pausable runs a worker until its context ends. Only a build with the tag drill
// can pause it.
func pausable(ctx context.Context, _ string, run func(context.Context)) { run(ctx) }

// drillBuild says that clock and workers can be moved from outside: never in a release.
const drillBuild = false
