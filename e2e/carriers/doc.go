// Package carriers lets carriers that are not ours, SIPp and baresip, call a
// whole node and be called by it. The agent is a device without a browser
// (e2e/device): what browsers do is shown in e2e/apps and e2e/console.
package carriers
