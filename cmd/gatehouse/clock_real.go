//go:build !drill

package main

import (
	"net/http"
	"time"
)

// wall is the machine's clock. Only a build with the tag drill can move it.
func wall() time.Time { return time.Now() }

func drillRoutes(*http.ServeMux) {}
