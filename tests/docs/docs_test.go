// Package docs runs what README.md and docs/guide.md show: a reader who copies a
// snippet or a command gets what the page says.
package docs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pages are those whose every snippet runs.
var pages = []string{"README.md", "docs/guide.md"}

// root is the repository's.
const root = "../.."

// limit bounds one program or command. Generous: a command may build the library.
const limit = 8 * time.Minute

// block is a fenced block of a page.
type block struct {
	page string
	line int
	lang string
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

func blocks(t *testing.T, page string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	var all []block
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		fence, ok := strings.CutPrefix(line, "```")
		switch {
		case ok && open == nil:
			open = &block{page: page, line: i + 1, lang: fence}
		case ok:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s: the block is not closed", open)
	}
	return all
}

func all(t *testing.T, lang string) []block {
	t.Helper()
	var found []block
	for _, page := range pages {
		for _, b := range blocks(t, page) {
			if b.lang == lang {
				found = append(found, b)
			}
		}
	}
	return found
}

// Languages are checked so that no block goes untested by a spelling.
func TestEveryBlockIsOfALanguageThatIsTested(t *testing.T) {
	known := map[string]string{
		"go": "here", "c": "here", "console": "here", "rust": "tests/readme.rs", "": "not code",
		"dockerfile": "its go build line is TestGoSnippets'",
	}
	for _, page := range pages {
		for _, b := range blocks(t, page) {
			if known[b.lang] == "" {
				t.Errorf("%s: a block of %q is tested by nobody", b, b.lang)
			}
		}
	}
}

func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

// importFor is what a snippet means by a package's name.
var importFor = map[string]string{
	"larder": "github.com/larder-cache/larder/go", "http": "net/http", "atomic": "sync/atomic",
	"sql": "database/sql", "debug": "runtime/debug", "fmt": "fmt", "os": "os", "time": "time",
	"context": "context", "errors": "errors", "log": "log", "strings": "strings", "sync": "sync",
	"strconv": "strconv",
}

var (
	qualified = regexp.MustCompile(`\b([a-z]+)\.[A-Z]`)
	declared  = regexp.MustCompile(`(?m)^([a-z][A-Za-z]*(?:, [a-zA-Z_]+)*) := `)
	printed   = regexp.MustCompile(`(?m)^(\s*)fmt\.Println\((.*)\) // (.+)$`)
)

// TestGoSnippets puts the Go snippets into one program, each a function, and runs it.
// `fmt.Println(x) // text` is a promise that it prints the text.
func TestGoSnippets(t *testing.T) {
	dir := t.TempDir()
	module, err := filepath.Abs(filepath.Join(root, "go"))
	if err != nil {
		t.Fatal(err)
	}
	sum, _ := os.ReadFile("go.sum")
	own, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "go.mod", strings.Replace(string(own), "../../go", module, 1))
	write(t, dir, "go.sum", string(sum))

	var calls strings.Builder
	for i, b := range all(t, "go") {
		name := fmt.Sprintf("snippet%d", i)
		write(t, dir, name+".go", function(name, b.text))
		fmt.Fprintf(&calls, "\trun(%q, %s)\n", b.String(), name)
	}
	write(t, dir, "main.go", fmt.Sprintf(harness, calls.String()))
	run(t, dir, []string{"GOFLAGS=-mod=mod"}, "go", "build", "-o", "snippets", ".")
	t.Log(run(t, dir, nil, "./snippets"))
}

// function makes one of statements: what it declares is used, what it uses is imported.
func function(name, text string) string {
	text = printed.ReplaceAllStringFunc(text, func(line string) string {
		m := printed.FindStringSubmatch(line)
		return fmt.Sprintf("%sexpect(fmt.Sprintln(%s), %q)", m[1], m[2], m[3])
	})
	body := text
	if !strings.Contains(text, "cache, err :=") && strings.Contains(text, "cache.") {
		body = "cache, err := larder.New(larder.Options{MaxBytes: 1 << 20})\n_ = err\n" + body
	}
	for _, names := range declared.FindAllStringSubmatch(text, -1) {
		for n := range strings.SplitSeq(names[1], ",") {
			if n = strings.TrimSpace(n); n != "_" {
				body += "_ = " + n + "\n"
			}
		}
	}
	var imports strings.Builder
	seen := map[string]bool{}
	for _, m := range qualified.FindAllStringSubmatch(body, -1) {
		if path := importFor[m[1]]; path != "" && !seen[m[1]] {
			seen[m[1]] = true
			fmt.Fprintf(&imports, "import %s %q\n", m[1], path)
		}
	}
	return fmt.Sprintf("package main\n\n%s\nfunc %s() error {\n%s\nreturn nil\n}\n", imports.String(), name, body)
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// harness has what the snippets take for granted.
const harness = `package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

var (
	ctx   = context.Background()
	drain = time.Millisecond
	place string
	_, _  = ctx, drain
)

func query(context.Context, string) ([]byte, error) { return []byte("a row"), nil }

func expect(got, want string) {
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		fmt.Printf("%%s: prints %%q, and says that it prints %%q\n", place, got, want)
		os.Exit(1)
	}
}

func run(name string, snippet func() error) {
	place = name
	if err := snippet(); err != nil {
		fmt.Printf("%%s: %%v\n", name, err)
		os.Exit(1)
	}
	fmt.Println("ok", name)
}

func main() {
%s}
`

// TestConsole runs the commands of the pages, the C program among them, with a temporary
// directory for /usr/local.
func TestConsole(t *testing.T) {
	dir := t.TempDir()
	prefix := filepath.Join(dir, "usr")
	for i, b := range all(t, "c") {
		write(t, dir, fmt.Sprintf("soup%d.c", i), cProgram(b.text))
	}
	if err := os.Rename(filepath.Join(dir, "soup0.c"), filepath.Join(dir, "soup.c")); err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all(t, "console") {
		for line := range strings.SplitSeq(b.text, "\n") {
			command, ok := strings.CutPrefix(line, "$ ")
			if !ok {
				continue
			}
			command, _, _ = strings.Cut(command, "  #")
			command = strings.NewReplacer("/usr/local", prefix, "-C larder ", "-C . ").Replace(strings.TrimSpace(command))
			switch {
			case elsewhere(command):
				t.Logf("%s: %s: run by its own part of make test, or not here", b, command)
				continue
			case strings.HasPrefix(command, "make "):
				run(t, top, nil, "sh", "-c", command)
			default:
				run(t, dir, []string{"PKG_CONFIG_PATH=" + prefix + "/lib/pkgconfig"}, "sh", "-c", command)
			}
			t.Logf("%s: %s", b, command)
		}
	}
}

// elsewhere names the commands that other tests run: `make test` is what runs this one, the
// gateway's own tests start it as `make run` does, and benchmarks are no tests.
func elsewhere(command string) bool {
	for _, prefix := range []string{
		"make test", "make run", "make bench", "make hitratio", "git clone", "go get", "go mod", "cargo add", "./soup",
		"sudo ldconfig",
	} {
		if strings.HasPrefix(command, prefix) {
			return true
		}
	}
	return false
}

// cProgram makes a program of a snippet that isn't one: its includes first, the rest in main.
func cProgram(text string) string {
	if strings.Contains(text, "int main(") {
		return text
	}
	var includes, body strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "#include") {
			includes.WriteString(line + "\n")
		} else {
			body.WriteString(line + "\n")
		}
	}
	return includes.String() + "int main(void) {\n" + body.String() + "return 0;\n}\n"
}
