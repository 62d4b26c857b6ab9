package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file; a larger one is a mistake.
const maxFile = 1 << 20

func (r *reader) file(path string) {
	f, err := os.Open(path)
	if err != nil {
		r.add(origin{where: path}, "", "%s", reasonOf(err))
		return
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		r.add(origin{where: path}, "", "%s", reasonOf(err))
		return
	}
	if len(text) > maxFile {
		r.add(origin{where: path}, "", "larger than 1 MiB; is this the right file?")
		return
	}
	r.yaml(path, text)
}

// yaml reads the text by its nodes, not by Go's types: a node knows its line,
// and a phone number written +15550199 stays text instead of becoming a number.
func (r *reader) yaml(path string, text []byte) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return // an empty file sets nothing
	case err != nil:
		r.syntax(path, err)
		return
	}
	w := walker{reader: r, path: path}
	if len(doc.Content) == 1 {
		w.value(doc.Content[0], doc.Content[0], r.root, "")
	}
	var more yaml.Node
	if err := d.Decode(&more); err == nil {
		r.add(w.at(&more), "", "a second YAML document; only one is read")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(path, err)
	}
}

func (r *reader) syntax(path string, err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	var line int
	if n, _ := fmt.Sscanf(message, "line %d:", &line); n == 1 {
		_, rest, _ := strings.Cut(message, ": ")
		r.add(origin{where: fmt.Sprintf("%s:%d", path, line), line: line}, "", "not valid YAML: %s", rest)
		return
	}
	r.add(origin{where: path}, "", "not valid YAML: %s", message)
}

// walker sets what one file says.
type walker struct {
	*reader
	path string
}

func (w walker) at(n *yaml.Node) origin {
	return origin{where: fmt.Sprintf("%s:%d", w.path, n.Line), line: n.Line}
}

// value reads the node n, which the node name announced: a section's own node
// begins with its first setting, a line too late for a reader.
func (w walker) value(name, n *yaml.Node, v reflect.Value, key string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // "key:" without a value leaves the default
	}
	if key != "" {
		w.origins[key] = w.at(name)
	}
	switch {
	case isSection(v.Type()):
		w.section(n, v, key)
	case v.Kind() == reflect.Slice:
		w.list(n, v, key)
	case n.Kind != yaml.ScalarNode:
		w.add(w.at(n), key, "must be a single value")
	default:
		if err := setText(v, n.Value); err != nil {
			w.add(w.at(n), key, "%v", err)
		}
	}
}

func (w walker) section(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		w.add(w.at(n), key, "must hold settings, one a line (%s, …)", keyOf(v.Type().Field(0)))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		full := join(key, name.Value)
		if line, twice := seen[name.Value]; twice {
			w.add(w.at(name), full, "set twice; the first time in line %d", line)
			continue
		}
		seen[name.Value] = name.Line
		field, ok := fieldOf(v.Type(), name.Value)
		if !ok {
			text := "no such setting"
			if near := nearest(name.Value, fieldNames(v.Type())); near != "" {
				text += fmt.Sprintf("; did you mean %s?", near)
			}
			w.add(w.at(name), full, "%s", text)
			continue
		}
		w.value(name, n.Content[i+1], v.FieldByIndex(field.Index), full)
	}
}

func (w walker) list(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.SequenceNode {
		w.add(w.at(n), key, "must be a list, as [one, two] or one \"- …\" a line")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, element := range n.Content {
		w.value(element, element, list.Index(i), fmt.Sprintf("%s[%d]", key, i))
	}
	v.Set(list)
}
