// Moving between the dashboard's pages without loading a new one.
export function go(address: string, { replace = false } = {}): void {
  window.history[replace ? "replaceState" : "pushState"](null, "", address);
  window.dispatchEvent(new PopStateEvent("popstate"));
}
