package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// EnvPrefix begins the names of the variables that are read.
const EnvPrefix = "DIALTONE_"

// Sources is where a configuration comes from besides the defaults.
type Sources struct {
	File    string            // path of a YAML file; "": none
	Environ []string          // as os.Environ gives it
	Flags   map[string]string // key ("https.listen") → value, as given on the command line
}

// Load returns the configuration of the sources. On mistakes the error is a
// Problems with every one of them, and the Config holds what could be read.
func Load(s Sources) (Config, error) {
	c, _, err := load(s)
	return c, err
}

func load(s Sources) (Config, *reader, error) {
	c := Default()
	r := newReader(&c)
	if s.File != "" {
		r.file(s.File)
	}
	r.environ(s.Environ)
	r.flags(s.Flags)
	r.secretFiles(&c)
	check(&c, r.problem)
	if len(r.problems) > 0 {
		return c, r, r.problems.sorted()
	}
	return c, r, nil
}

// origin is where a value was set.
type origin struct {
	where string
	line  int
}

// reader fills one Config and remembers where each value came from.
type reader struct {
	root     reflect.Value
	origins  map[string]origin
	problems Problems
}

func newReader(c *Config) *reader {
	return &reader{root: reflect.ValueOf(c).Elem(), origins: map[string]origin{}}
}

func (r *reader) add(o origin, key, format string, args ...any) {
	r.problems = append(r.problems, Problem{Where: o.where, Key: key, Text: fmt.Sprintf(format, args...), line: o.line})
}

// problem reports that the value of the key is wrong, wherever it was set. One
// problem a key is enough: a value that cannot be read is not judged as well.
func (r *reader) problem(key, format string, args ...any) {
	if slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Key == key }) {
		return
	}
	r.add(r.originOf(key), key, format, args...)
}

// originOf returns where the key, or else what holds it, was set.
func (r *reader) originOf(key string) origin {
	for key != "" {
		if o, ok := r.origins[key]; ok {
			return o
		}
		key = parent(key)
	}
	return origin{}
}

func parent(key string) string {
	i := strings.LastIndexAny(key, ".[")
	if i < 0 {
		return ""
	}
	return key[:i]
}

func (r *reader) environ(environ []string) {
	keys := Keys()
	names := make([]string, 0, len(keys))
	for _, k := range keys {
		if k.Env != "" {
			names = append(names, k.Env)
		}
	}
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || !strings.HasPrefix(name, EnvPrefix) || name == EnvPrefix+"CONFIG" {
			continue
		}
		at := origin{where: name}
		i := slices.IndexFunc(keys, func(k Key) bool { return k.Env == name })
		if i < 0 {
			// Others use the prefix too: Kubernetes sets DIALTONE_PORT for a
			// service of that name. Only what looks like a misspelling counts.
			for _, known := range names {
				if editDistance(name, known) <= 2 {
					r.add(at, "", "no such setting; did you mean %s?", known)
					break
				}
			}
			continue
		}
		r.set(keys[i], value, at)
	}
}

func (r *reader) flags(flags map[string]string) {
	for _, k := range Keys() {
		if value, ok := flags[k.Path]; ok {
			r.set(k, value, origin{where: "--" + k.Flag})
		}
	}
}

// set gives the key, which is no list of sections, the value written as text; lists are
// separated by commas.
func (r *reader) set(k Key, text string, at origin) {
	v := k.value(r.root)
	r.origins[k.Path] = at
	if v.Kind() != reflect.Slice {
		if err := setText(v, text); err != nil {
			r.add(at, k.Path, "%v", err)
		}
		return
	}
	list := reflect.MakeSlice(v.Type(), 0, 4)
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := setText(element, part); err != nil {
			r.add(at, k.Path, "%q: %v", part, err)
			continue
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
}

// secretFiles reads the secrets that are in files of their own.
func (r *reader) secretFiles(c *Config) {
	for i := range c.Trunks {
		t := &c.Trunks[i]
		r.secretFile(fmt.Sprintf("trunks[%d].", i), "password", &t.Password, t.PasswordFile)
	}
	for i := range c.OIDC {
		p := &c.OIDC[i]
		r.secretFile(fmt.Sprintf("oidc[%d].", i), "client_secret", &p.ClientSecret, p.ClientSecretFile)
	}
}

func (r *reader) secretFile(section, name string, secret *string, file string) {
	key := section + name + "_file"
	switch {
	case file == "":
	case *secret != "":
		r.problem(key, "set %s or %s_file, not both", name, name)
	default:
		text, err := os.ReadFile(file)
		if err != nil {
			r.problem(key, "%s", reasonOf(err))
			return
		}
		if *secret = strings.TrimSpace(string(text)); *secret == "" {
			r.problem(key, "the file %s is empty", file)
		}
	}
}

// reasonOf says why a file could not be used, without the name of the system call.
func reasonOf(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return fmt.Sprintf("cannot read %s: %v", pe.Path, pe.Err)
	}
	return err.Error()
}
