/** Starts the console: themes, data, routes. */
import "@fontsource-variable/inter";
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./styles.css";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Problem } from "./api";
import { Home } from "./pages/Home";
import { A, Head, Trouble, Waiting } from "./parts/parts";
import { Shell } from "./shell/Shell";
import { theme, variables } from "./theme";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <>
      <Head title="There is nothing at this address" line="It may have been renamed or removed. The menu and the search lead everywhere there is." />
      <A to="/" className="link">Go to Home</A>
    </>
  ),
  errorComponent: ({ error }) => <Trouble error={error instanceof Error ? error : new Error(String(error))} retry={() => window.location.reload()} />,
});
type Search = Record<string, string | undefined>;
const words = (search: Record<string, unknown>): Search => Object.fromEntries(Object.entries(search).map(([key, value]) => [key, typeof value === "string" ? value : value === undefined ? undefined : String(value)]));
const at = (path: string, component: ReturnType<typeof lazyRouteComponent> | (() => React.ReactNode)) =>
  createRoute({ getParentRoute: () => root, path, component: component as never, validateSearch: words, pendingComponent: Waiting });

const routes = [
  at("/", Home),
  at("/profiles", lazyRouteComponent(() => import("./pages/Profiles"), "Profiles")),
  at("/profiles/$id", lazyRouteComponent(() => import("./pages/Profile"), "ProfilePage")),
  at("/segments", lazyRouteComponent(() => import("./pages/Segments"), "Segments")),
  at("/segments/new", lazyRouteComponent(() => import("./pages/SegmentEditor"), "NewSegment")),
  at("/segments/new/list", lazyRouteComponent(() => import("./pages/ListEditor"), "NewList")),
  at("/segments/$id/source", lazyRouteComponent(() => import("./pages/ListEditor"), "EditList")),
  at("/segments/$id", lazyRouteComponent(() => import("./pages/Segment"), "SegmentPage")),
  at("/segments/$id/edit", lazyRouteComponent(() => import("./pages/SegmentEditor"), "EditSegment")),
  at("/traits", lazyRouteComponent(() => import("./pages/Traits"), "Traits")),
  at("/traits/new", lazyRouteComponent(() => import("./pages/TraitEditor"), "NewTrait")),
  at("/traits/$id", lazyRouteComponent(() => import("./pages/Traits"), "TraitPage")),
  at("/traits/$id/edit", lazyRouteComponent(() => import("./pages/TraitEditor"), "EditTrait")),
  at("/rfm", lazyRouteComponent(() => import("./pages/Rfm"), "RfmPage")),
  at("/rules", lazyRouteComponent(() => import("./pages/Rules"), "Rules")),
  at("/rules/new", lazyRouteComponent(() => import("./pages/RuleEditor"), "NewRule")),
  at("/rules/$id", lazyRouteComponent(() => import("./pages/Rule"), "RulePage")),
  at("/rules/$id/edit", lazyRouteComponent(() => import("./pages/RuleEditor"), "EditRule")),
  at("/tables", lazyRouteComponent(() => import("./pages/Tables"), "Tables")),
  at("/tables/new", lazyRouteComponent(() => import("./pages/TableEditor"), "NewTable")),
  at("/tables/$id", lazyRouteComponent(() => import("./pages/TableEditor"), "TablePage")),
  at("/journeys", lazyRouteComponent(() => import("./pages/Journeys"), "Journeys")),
  at("/journeys/$id", lazyRouteComponent(() => import("./pages/Journey"), "JourneyPage")),
  at("/messages", lazyRouteComponent(() => import("./pages/Messages"), "Messages")),
  at("/messages/$id", lazyRouteComponent(() => import("./pages/Message"), "MessagePage")),
  at("/catalogue", lazyRouteComponent(() => import("./pages/Catalogue"), "Catalogue")),
  at("/catalogue/$catalog/$id", lazyRouteComponent(() => import("./pages/Catalogue"), "CatalogueItem")),
  at("/recommendations", lazyRouteComponent(() => import("./pages/Recommendations"), "RecommendationsPage")),
  at("/coupons", lazyRouteComponent(() => import("./pages/Coupons"), "Coupons")),
  at("/coupons/$id", lazyRouteComponent(() => import("./pages/Coupons"), "CouponPoolPage")),
  at("/events", lazyRouteComponent(() => import("./pages/Events"), "Events")),
  at("/query", lazyRouteComponent(() => import("./pages/Query"), "QueryPage")),
  at("/settings", lazyRouteComponent(() => import("./pages/Settings"), "SettingsPage")),
];
const router = createRouter({ routeTree: root.addChildren(routes), defaultPreload: "intent", defaultPreloadStaleTime: 0, scrollRestoration: true });

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) => failures < 2 && !(error instanceof Problem && error.status < 500),
    },
  },
});

const container = document.getElementById("root");
if (container) {
  createRoot(container).render(
    <StrictMode>
      <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto">
        <Notifications position="bottom-right" />
        <QueryClientProvider client={client}>
          <RouterProvider router={router as never} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
