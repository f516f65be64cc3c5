/** The look: one accent, neutral greys, meaning in green, amber and red; both themes chosen, not inverted. */
import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

const accent: MantineColorsTuple = ["#eef1fd", "#dbe1fa", "#b6c2f4", "#90a2ee", "#7189e9", "#5571e0", "#3f5cd3", "#3451c9", "#2a43ab", "#20358a"];

export const theme = createTheme({
  primaryColor: "accent",
  primaryShade: { light: 7, dark: 6 },
  colors: { accent },
  fontFamily: "'Inter Variable', system-ui, sans-serif",
  fontFamilyMonospace: "ui-monospace, 'SF Mono', 'JetBrains Mono', Menlo, Consolas, monospace",
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "20px" },
  defaultRadius: 8,
  cursorType: "pointer",
  respectReducedMotion: true,
  focusRing: "auto",
  components: {
    Button: { defaultProps: { size: "sm" } },
    TextInput: { defaultProps: { size: "sm" } },
    Tooltip: { defaultProps: { withArrow: false, openDelay: 250, transitionProps: { duration: 80 } } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    Modal: { defaultProps: { transitionProps: { duration: 100 } } },
    Tabs: { defaultProps: { keepMounted: false } },
  },
});

export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#ffffff",
    "--mantine-color-text": "#1b1c1e",
    "--mantine-color-dimmed": "#5f6369",
    "--mantine-color-default-border": "#d9dbde",
    "--mantine-color-placeholder": "#6b7078",
    "--mantine-color-anchor": "#2a43ab",
    "--mantine-color-error": "#b42525",
  },
  dark: {
    "--mantine-color-body": "#131416",
    "--mantine-color-text": "#e7e8ea",
    "--mantine-color-dimmed": "#a0a4ab",
    "--mantine-color-default": "#1b1d20",
    "--mantine-color-default-hover": "#24262a",
    "--mantine-color-default-border": "#34373c",
    "--mantine-color-placeholder": "#90959d",
    "--mantine-color-anchor": "#a5b4f5",
    "--mantine-color-error": "#f58c8c",
  },
});
