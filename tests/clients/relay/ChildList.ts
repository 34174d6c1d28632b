// A list in the manner of Relay: a fragment on the interface, its connection, and the query to refetch it.
declare function graphql(text: TemplateStringsArray): unknown;

export const childList = graphql`
  fragment ChildList_node on HierarchyNode
  @refetchable(queryName: "ChildListPaginationQuery")
  @argumentDefinitions(
    period: { type: "PeriodInput!" }
    first: { type: "Int", defaultValue: 20 }
    after: { type: "String" }
  ) {
    id
    name
    children(period: $period, first: $first, after: $after) @connection(key: "ChildList_children") {
      edges {
        node {
          id
          ...ChildListRow_node
        }
        emissions {
          kgCO2e
          microgramsCO2e
          status
        }
      }
    }
  }
`;

export const childListRow = graphql`
  fragment ChildListRow_node on HierarchyNode {
    name
    kind
    access
    ... on Account {
      closedFrom
    }
  }
`;

export const dashboard = graphql`
  query ChildListQuery($id: ID!, $period: PeriodInput!) {
    hierarchyNode(id: $id) {
      ...ChildList_node @arguments(period: $period)
      emissions(period: $period) {
        complete
        total {
          kgCO2e
          estimatedShare
          status
        }
      }
    }
  }
`;

export const viewer = graphql`
  query ChildListViewerQuery {
    viewer {
      displayName
      roles {
        node {
          id
          name
        }
      }
    }
  }
`;
