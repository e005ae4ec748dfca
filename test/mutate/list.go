package main

// mutations is the one list of controls. The sentence says what the broken
// program would do to people; keep the replaced text as small as can be.
var mutations = []mutation{}
