// Before the first paint, so that a chosen theme does not flash; a file of its
// own because the content security policy allows no inline script.
try {
  var theme = JSON.parse(localStorage.getItem('dialtone.preferences') || '{}').theme
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // nothing was chosen
}
