//go:build !linux

package doctor

func (e *examination) clock() {
	e.say("clock", Warning, "whether the clock is right cannot be told here; tokens are refused when it is half a minute off")
}
