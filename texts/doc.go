// Package texts hands codes to whoever sends text messages and makes calls.
package texts
