// The dashboard's pages: which address shows which, and what the line at the top names. One line for each.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { AlertsPage } from "./alerts";
import { NoticesPage } from "./alerts_notices";
import { AlertPage } from "./alerts_one";
import { covers, type Me, type Role } from "./api";
import { ApprovalsPage, WaitingCount } from "./approvals_page";
import { AuditPage } from "./audit";
import { CasePage } from "./case_page";
import { DevicePage } from "./device";
import type { Fleet } from "./fleet";
import { FleetPage } from "./fleet_page";
import { LabelsPage } from "./labels";
import { MoneyPage } from "./money";
import { AccountPage, PostingsPage } from "./money_postings";
import { ScanPage } from "./scan";
import { SessionsPage } from "./sessions_page";
import { TariffsPage } from "./tariffs";
import { UsePage } from "./use";
import { VisitsPage } from "./visits";

// What a page gets: who looks at it, the fleet as it is kept up to date, and the address with its groups.
export interface Visit {
  me: Me;
  fleet: Fleet;
  url: URL;
  groups: readonly string[];
}

// What stands in an address, without its escapes; one that nobody has made well stays as it is, and is not found.
function plainText(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

interface Entry {
  path: RegExp;
  word?: string; // in the line at the top; a page without one is reached from another
  href?: string;
  more?: () => ComponentChildren; // after the word, such as how many wait there
  needs: Role; // to be named there: who may do what is decided by session_service/access.py
  view: (visit: Visit) => ComponentChildren;
}

const PAGES: readonly Entry[] = [
  { path: /^\/ops\/?$/, word: "Fleet", href: "/ops", needs: "viewer", view: ({ fleet, url }) => <FleetPage fleet={fleet} search={url.search} /> },
  { path: /^\/ops\/visits$/, word: "Needs a visit", href: "/ops/visits", needs: "viewer", view: ({ fleet, me, url }) => <VisitsPage fleet={fleet} me={me} search={url.search} /> },
  { path: /^\/ops\/alerts$/, word: "Alerts", href: "/ops/alerts", needs: "viewer", view: ({ fleet, me, url }) => <AlertsPage fleet={fleet} me={me} search={url.search} /> },
  { path: /^\/ops\/alerts\/([0-9A-HJKMNP-TV-Z]{26})$/, needs: "viewer", view: ({ fleet, me, groups }) => <AlertPage key={groups[0]} id={groups[0] ?? ""} fleet={fleet} me={me} /> },
  { path: /^\/ops\/notices$/, needs: "technician", view: ({ url }) => <NoticesPage search={url.search} /> },
  {
    path: /^\/ops\/devices\/([0-9A-HJKMNP-TV-Z]{10})$/, needs: "viewer",
    view: (visit) => <DevicePage key={visit.groups[0]} {...visit} />,
  },
  { path: /^\/ops\/sessions$/, word: "Sessions", href: "/ops/sessions", needs: "viewer", view: (visit) => <SessionsPage {...visit} /> },
  {
    path: /^\/ops\/sessions\/([0-9A-HJKMNP-TV-Z]{26})$/, needs: "viewer",
    view: ({ me, groups }) => <CasePage key={groups[0]} id={groups[0] ?? ""} me={me} />,
  },
  { path: /^\/ops\/approvals$/, word: "Approvals", href: "/ops/approvals", needs: "viewer", more: () => <WaitingCount />, view: (visit) => <ApprovalsPage {...visit} /> },
  { path: /^\/ops\/money$/, word: "Money", href: "/ops/money", needs: "viewer", view: ({ me, url }) => <MoneyPage me={me} url={url} /> },
  { path: /^\/ops\/money\/postings$/, needs: "operator", view: ({ url }) => <PostingsPage url={url} /> },
  { path: /^\/ops\/money\/accounts\/([^/]{1,80})$/, needs: "operator", view: ({ groups }) => <AccountPage key={groups[0]} id={plainText(groups[0] ?? "")} /> },
  { path: /^\/ops\/use$/, word: "Use", href: "/ops/use", needs: "viewer", view: ({ url }) => <UsePage url={url} /> },
  { path: /^\/ops\/tariffs$/, word: "Tariffs", href: "/ops/tariffs", needs: "viewer", view: ({ me, url }) => <TariffsPage me={me} url={url} /> },
  { path: /^\/ops\/audit$/, word: "Audit", href: "/ops/audit", needs: "operator", view: ({ url }) => <AuditPage url={url} /> },
  { path: /^\/ops\/scan$/, word: "Scan", href: "/ops/scan", needs: "viewer", view: (visit) => <ScanPage {...visit} /> },
  { path: /^\/ops\/labels$/, word: "Labels", href: "/ops/labels", needs: "technician", view: (visit) => <LabelsPage {...visit} /> },
];

export function pageAt(visit: Omit<Visit, "groups">): ComponentChildren {
  for (const { path, view } of PAGES) {
    const found = path.exec(visit.url.pathname);
    if (found) return view({ ...visit, groups: found.slice(1) });
  }
  return <main class="page"><h1>There is no such page</h1><p>Look at <a href="/ops">the fleet</a>.</p></main>;
}

// On a phone the line is longer than the screen: the page that is open stands in its middle.
function bring(line: HTMLElement | null): void {
  const open = line?.querySelector<HTMLElement>("[aria-current=page]");
  if (line && open) line.scrollLeft = open.offsetLeft - line.offsetLeft - (line.clientWidth - open.offsetWidth) / 2;
}

export function Pages({ me, path }: { me: Me; path: string }) {
  const named = PAGES.filter((one) => one.href !== undefined && covers(me.role, one.needs));
  const line = useRef<HTMLElement>(null);
  useEffect(() => {
    const sized = new ResizeObserver(() => bring(line.current)); // at once, and when a count has come
    for (const link of line.current?.children ?? []) sized.observe(link);
    return () => sized.disconnect();
  }, [path]);
  return (
    <nav aria-label="Pages" ref={line}>
      {named.map(({ href = "", word, path: own, more }) => <a key={href} href={href} aria-current={own.test(path) ? "page" : "false"}>{word}{more?.()}</a>)}
    </nav>
  );
}
