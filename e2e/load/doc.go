// Package load shows with tests that many calls leave nothing behind and that
// hostile input harms nobody else. The node under test, the devices and a
// simulated carrier run in one process: what any of them keeps is counted.
//
// Figures are bench's business: nothing here judges speed.
package load
