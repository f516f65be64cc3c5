/** The frame around every page: rail, top bar, bottom bar, sign-in when nobody is signed in. */
import { ActionIcon, Menu, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useHotkeys, useLocalStorage } from "@mantine/hooks";
import { IconDots, IconKeyboard, IconLayoutSidebarLeftCollapse, IconLayoutSidebarLeftExpand, IconLogout, IconMoon, IconSearch, IconSun } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Suspense, useEffect, useRef, useState } from "react";
import { call, Problem, useGet, type Session } from "../api";
import { count } from "../format";
import { connect, disconnect, usePulse } from "../live";
import { SignIn } from "../pages/SignIn";
import { Trouble, Waiting } from "../parts/parts";
import { Commands } from "./Commands";
import { PLACES } from "./places";
import { Shortcuts } from "./Shortcuts";

export function Shell() {
  const session = useGet<Session>("/session");
  if (session.data) return <Frame session={session.data} />;
  if (session.error instanceof Problem && session.error.status === 401) return <SignIn />;
  if (session.error) {
    return <main className="page"><Trouble error={session.error} retry={() => void session.refetch()} /></main>;
  }
  return <main className="page"><Waiting /></main>;
}

function Pulse() {
  const { tick, connected } = usePulse();
  const behind = (tick?.lag_events ?? 0) > 1000;
  const state = !connected ? (tick ? "bad" : "") : behind ? "warn" : "good";
  return (
    <span className="pulse" title={connected ? "Events a second, and how many wait to be worked through" : "The stream is not open yet; trying"}>
      <span className={`dot ${state}`} aria-hidden />
      {connected ? <span>{count(tick?.events_per_second ?? 0)} events/s</span> : <span>{tick ? "Reconnecting" : "Connecting"}</span>}
      {connected && <span className="lag">· {behind ? `${count(tick?.lag_events)} waiting` : "up to date"}</span>}
    </span>
  );
}

function inDialog(): boolean {
  return document.querySelector('[role="dialog"][aria-modal="true"]') !== null;
}

/** Puts the focus on the content when what held it went away with the old page. */
function useFocusAfterMove() {
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const before = useRef(path);
  useEffect(() => {
    const moved = before.current !== undefined && before.current !== path;
    before.current = path;
    if (!moved) return;
    // Later than a closing dialog hands the focus back.
    const timer = window.setTimeout(() => {
      if (document.activeElement === null || document.activeElement === document.body) document.getElementById("content")?.focus({ preventScroll: true });
    }, 200);
    return () => window.clearTimeout(timer);
  }, [path]);
}

function Frame({ session }: { session: Session }) {
  const [narrow, setNarrow] = useLocalStorage({ key: "rapport-rail-narrow", defaultValue: false });
  const [finding, setFinding] = useState(false);
  const [helping, setHelping] = useState(false);
  const scheme = useComputedColorScheme("light");
  const { setColorScheme } = useMantineColorScheme();
  const client = useQueryClient();
  const navigate = useNavigate();
  const leading = useRef(0);
  useEffect(() => connect(), []);
  // Also from a field or an editor; the same keys close it again.
  useHotkeys([["mod+K", () => setFinding((open) => !open && !inDialog())]], [], true);
  useHotkeys([["shift+?", () => { if (!inDialog()) setHelping(true); }], ["?", () => { if (!inDialog()) setHelping(true); }], ["/", (event) => { if (inDialog()) return; event.preventDefault(); setFinding(true); }, { preventDefault: false }], ["g", () => { leading.current = Date.now(); }, { preventDefault: false }]]);
  useEffect(() => {
    const follow = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && (event.target.isContentEditable || /INPUT|TEXTAREA|SELECT/.test(event.target.tagName));
      if (typing || event.metaKey || event.ctrlKey || event.altKey || inDialog() || Date.now() - leading.current > 1200) return;
      const place = PLACES.find((one) => one.key === event.key);
      if (!place) return;
      leading.current = 0;
      event.preventDefault();
      void navigate({ to: place.to as never });
    };
    window.addEventListener("keydown", follow);
    return () => window.removeEventListener("keydown", follow);
  }, [navigate]);
  useFocusAfterMove();
  const leave = async () => {
    await call("/session", { method: "DELETE" }).catch(() => undefined);
    disconnect();
    client.clear();
    window.location.assign("/");
  };
  return (
    <div className={narrow ? "shell narrow" : "shell"}>
      <a href="#content" className="skip">Skip to the content</a>
      <nav className="rail" aria-label="Places">
        <div className="brand"><img src="/favicon.svg" alt="" /><span className="label">Rapport</span></div>
        {PLACES.map((place, index) => (
          <div key={place.to}>
            {place.group && place.group !== PLACES[index - 1]?.group && <div className="group">{place.group}</div>}
            <Link to={place.to as never} className="place" activeOptions={{ exact: place.to === "/", includeSearch: false }} title={narrow ? place.label : undefined}>
              <place.icon size={18} stroke={1.7} aria-hidden />
              <span className="label">{place.label}</span>
            </Link>
          </div>
        ))}
        <div className="foot">
          <ActionIcon variant="subtle" color="gray" onClick={() => setNarrow(!narrow)} aria-label={narrow ? "Widen the menu" : "Narrow the menu"} aria-expanded={!narrow}>
            {narrow ? <IconLayoutSidebarLeftExpand size={18} /> : <IconLayoutSidebarLeftCollapse size={18} />}
          </ActionIcon>
        </div>
      </nav>
      <div style={{ minWidth: 0 }}>
        <header className="topbar">
          <span className="space">{session.workspace.name}</span>
          {session.demo && <span className="tag" title="Everything in this workspace is made up, openly">Demo data</span>}
          <button type="button" className="plainbutton finder" onClick={() => setFinding(true)}>
            <IconSearch size={16} aria-hidden /><span className="label">Search or do</span><kbd aria-hidden>{/Mac|iPhone|iPad/.test(navigator.platform) ? "⌘K" : "Ctrl K"}</kbd>
          </button>
          <Pulse />
          <ActionIcon variant="subtle" color="gray" onClick={() => setColorScheme(scheme === "dark" ? "light" : "dark")} aria-label={scheme === "dark" ? "Use the light theme" : "Use the dark theme"}>
            {scheme === "dark" ? <IconSun size={18} /> : <IconMoon size={18} />}
          </ActionIcon>
          <ActionIcon variant="subtle" color="gray" onClick={() => setHelping(true)} aria-label="Keyboard shortcuts" className="wide"><IconKeyboard size={18} /></ActionIcon>
          <ActionIcon variant="subtle" color="gray" onClick={() => void leave()} aria-label="Sign out" className="wide"><IconLogout size={18} /></ActionIcon>
        </header>
        <main id="content" tabIndex={-1} style={{ outline: "none" }}>
          <div className="page"><Suspense fallback={<Waiting />}><Outlet /></Suspense></div>
        </main>
      </div>
      <nav className="bottombar" aria-label="Main places">
        {PLACES.filter((place) => place.phone).map((place) => (
          <Link key={place.to} to={place.to as never} activeOptions={{ exact: place.to === "/", includeSearch: false }}>
            <place.icon size={20} stroke={1.7} aria-hidden />{place.label}
          </Link>
        ))}
        <Menu position="top-end" width={200}>
          <Menu.Target><button type="button"><IconDots size={20} aria-hidden />More</button></Menu.Target>
          <Menu.Dropdown>
            {PLACES.filter((place) => !place.phone).map((place) => (
              <Menu.Item key={place.to} leftSection={<place.icon size={16} aria-hidden />} onClick={() => void navigate({ to: place.to as never })}>{place.label}</Menu.Item>
            ))}
            <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={() => void leave()}>Sign out</Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </nav>
      <Commands opened={finding} close={() => setFinding(false)} help={() => setHelping(true)} leave={() => void leave()} />
      <Shortcuts opened={helping} close={() => setHelping(false)} />
    </div>
  );
}
