package config

import (
	"bytes"
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// hidden stands for a secret that is set.
const hidden = "…"

// Print returns the configuration of the sources as a YAML file: every setting
// with its value and, as a comment, where it was set. Secrets are hidden. The
// error is that of Load.
func Print(s Sources) ([]byte, error) {
	c, r, err := load(s)
	if err != nil {
		return nil, err
	}
	p := printer{origins: r.origins}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(p.node(reflect.ValueOf(c), "", false)); err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return out.Bytes(), nil
}

type printer struct{ origins map[string]origin }

func (p printer) node(v reflect.Value, key string, secret bool) *yaml.Node {
	switch {
	case isSection(v.Type()):
		n := &yaml.Node{Kind: yaml.MappingNode}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := &yaml.Node{Kind: yaml.ScalarNode, Value: keyOf(f)}
			n.Content = append(n.Content, name, p.node(v.Field(i), join(key, keyOf(f)), f.Tag.Get("secret") == "true"))
		}
		return n
	case v.Kind() == reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode, LineComment: p.origins[key].where}
		if !isSection(v.Type().Elem()) || v.Len() == 0 {
			n.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			element := p.node(v.Index(i), fmt.Sprintf("%s[%d]", key, i), secret)
			element.LineComment = "" // a comment within [a, b] would end the list
			n.Content = append(n.Content, element)
		}
		return n
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: written(v), LineComment: p.origins[key].where}
	switch v.Kind() {
	case reflect.String:
		n.Tag = "!!str" // lets the encoder quote what would read as something else
		if secret && n.Value != "" {
			n.Value = hidden
		}
	case reflect.Int, reflect.Int64:
		if n.Value == "" {
			n.Value = "0"
		}
	}
	return n
}
