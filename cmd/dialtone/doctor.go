package main

import (
	"context"
	"fmt"

	"dialtone/internal/app/doctor"
	"dialtone/internal/config"
)

type doctorCommand struct{ settings }

func (c *doctorCommand) Run(ctx context.Context, s streams) error {
	settings, err := config.Load(c.sources())
	if err != nil {
		return err
	}
	problems := 0
	for _, f := range doctor.Examine(ctx, settings) {
		fmt.Fprintf(s.out, "%-8s %-12s %s\n", f.Grade, f.Check, f.Text)
		if f.Grade == doctor.Problem {
			problems++
		}
	}
	if problems > 0 {
		return fmt.Errorf("%s found", plural(problems, "problem"))
	}
	return nil
}
