package main

import (
	"fmt"

	"dialtone/internal/config"
)

type configCommand struct {
	Check configCheck `cmd:"" help:"List every problem of the configuration; exits with 2 when there is one."`
	Print configPrint `cmd:"" help:"Print the whole configuration with where each setting comes from; secrets are hidden."`
}

type configCheck struct{ settings }

func (c *configCheck) Run(s streams) error {
	if _, err := config.Load(c.sources()); err != nil {
		return err
	}
	if c.Config == "" {
		fmt.Fprintln(s.out, "The configuration is valid (defaults; no file was given).")
		return nil
	}
	fmt.Fprintf(s.out, "%s is valid.\n", c.Config)
	return nil
}

type configPrint struct{ settings }

func (c *configPrint) Run(s streams) error {
	text, err := config.Print(c.sources())
	if err != nil {
		return err
	}
	_, err = s.out.Write(text)
	return err
}
