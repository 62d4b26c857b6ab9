package main

import (
	"fmt"

	"dialtone/internal/app/certs"
	"dialtone/internal/app/localca"
)

type trustCommand struct {
	place
	Remove     bool `help:"Take the authority out of the stores again."`
	Print      bool `help:"Only print the authority's certificate, to import it elsewhere."`
	NoSystem   bool `help:"Leave the operating system's store as it is."`
	NoBrowsers bool `help:"Leave the browsers' stores as they are."`
}

func (c *trustCommand) Run(s streams) error {
	settings, err := c.load()
	if err != nil {
		return err
	}
	authority, err := localca.Open(certs.AuthorityDir(settings.DataDir))
	if err != nil {
		return err
	}
	if c.Print {
		_, err := s.out.Write(authority.PEM())
		return err
	}
	change := authority.Trust
	if c.Remove {
		change = authority.Distrust
	}
	done, err := change(localca.Where{System: !c.NoSystem, Browsers: !c.NoBrowsers})
	for _, sentence := range done {
		fmt.Fprintln(s.out, sentence)
	}
	if err != nil {
		return fmt.Errorf("%w\nThe certificate is %s; it can be imported by hand", err, authority.File())
	}
	return nil
}
