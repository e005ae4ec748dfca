// Package webpush wakes devices with Gatehouse Verify: it hands a short message to
// the push service that a browser has named (RFC 8030), encrypted for that browser
// alone (RFC 8291) and signed with a key of ours (VAPID, RFC 8292). What is sent
// says only that somebody asks; the question itself is fetched by the app.
//
// Where it is sent was named by a browser, so connections are opened through a door
// that leads to nothing but the public Internet and what the operator allows.
package webpush
