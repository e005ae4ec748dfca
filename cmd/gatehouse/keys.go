package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"gatehouse/seal"
)

// KeysCommand looks after the key folder.
type KeysCommand struct {
	Init   KeysInit   `cmd:"" help:"Make the key folder. It never overwrites a key."`
	Rotate KeysRotate `cmd:"" help:"Add a newer key to one set, or to all. Older keys go on verifying."`
	List   KeysList   `cmd:"" help:"List the keys, without their material."`
}

// keysDir is shared by the three.
type keysDir struct {
	Dir string `placeholder:"DIR" help:"The key folder. Without it, keys_dir of the configuration."`
}

// dir asks the configuration only when the flag does not say; its other
// mistakes do not matter here, because keys are made before all is set up.
func (k keysDir) dir(p *program) string { return cmp.Or(k.Dir, p.load(nil).KeysDir) }

// KeysInit makes keys.
type KeysInit struct{ keysDir }

// Run makes every key set.
func (c *KeysInit) Run(p *program) error {
	dir := c.dir(p)
	if err := seal.InitKeys(dir); err != nil {
		return next(err, "to add newer keys instead: gatehouse keys rotate --dir %s; for another folder: gatehouse keys init --dir DIR", dir)
	}
	fmt.Fprintf(p.out, `Made %s in %s.

Back this folder up now, and not beside the database: whoever has only one of
the two has nothing. Without it no password, authenticator app or session works
any more. It must belong to the user that Gatehouse runs as:
  chown -R gatehouse: %s
`, strings.Join(seal.Names(), ", "), dir, dir)
	return nil
}

// KeysRotate adds keys.
type KeysRotate struct {
	keysDir
	Set string `arg:"" optional:"" help:"vault, tokens or pepper. Without it, all three."`
}

// Run adds one key to each set that was named.
func (c *KeysRotate) Run(p *program) error {
	sets := seal.Names()
	if c.Set != "" {
		if !slices.Contains(sets, c.Set) {
			return &usageError{fmt.Errorf("%q is not a key set; there are %s%s", c.Set, strings.Join(sets, ", "), didYouMean(c.Set, sets)), "gatehouse keys list"}
		}
		sets = []string{c.Set}
	}
	dir := c.dir(p)
	for _, set := range sets {
		if err := seal.RotateKey(dir, set); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.out, `A newer key makes %s from the next start on; older keys still verify.

Next: copy %s to every node, back it up, then restart the nodes one after the
other. Copy to all before you restart any: a node cannot open what a newer key made.
`, strings.Join(sets, ", "), dir)
	return nil
}

// KeysList shows keys.
type KeysList struct{ keysDir }

// Run prints a table.
func (c *KeysList) Run(p *program) error {
	infos, err := seal.ListKeys(c.dir(p))
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SET\tKEY\tSTATUS\tUSE")
	for _, i := range infos {
		fmt.Fprintf(t, "%s\t%08x\t%s\t%s\n", i.Set, i.ID, strings.ToLower(i.Status), either(i.Primary, "makes and verifies", "verifies"))
	}
	return t.Flush()
}
